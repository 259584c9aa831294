// One heap as the process sees it: where a request goes, by its size. Owned by the arena, whose cuts it takes part in.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cow/arena.hpp"
#include "cow/heap.hpp"
#include "heap/context.hpp"
#include "heap/registry.hpp"
#include "heap/runs.hpp"
#include "heap/slabs.hpp"
#include "heap/thread_slot.hpp"

namespace cow::detail {

class HeapCore final : public CutHook, private RegistryEntry {
 public:
  explicit HeapCore(const ArenaRef& arena);
  ~HeapCore() override;
  HeapCore(const HeapCore&) = delete;
  HeapCore& operator=(const HeapCore&) = delete;

  /// The core of this arena, made if there is none.
  static HeapCore& of(const ArenaRef& arena);
  /// The core of the arena that begins at this address. Throws std::logic_error if no heap was attached there.
  static HeapCore& at(const void* arena_begin);

  void before_cut() override { WholeHeapLock::take(context_); }
  void after_cut() noexcept override;
  void in_fork_child() noexcept override;

  /// Makes a heap where there is none, if the arena was never written.
  void attach(const Arena& arena);

  void* allocate(std::size_t bytes, std::size_t alignment);  // nullptr: full
  void* allocate_zeroed(std::size_t bytes, std::size_t alignment);  // nullptr: full
  void* allocate_or_throw(std::size_t bytes, std::size_t alignment);
  [[noreturn]] void throw_full(std::size_t bytes, std::size_t alignment) const;
  void* reallocate(void* block, std::size_t bytes);  // nullptr: full
  void deallocate(void* block) noexcept;
  std::size_t usable_size(const void* block) noexcept;

  void set_root(const void* root, std::uint64_t type);
  void* root(std::uint64_t type);
  /// If the root lies in this live block, there is none any more.
  void forget_root_in(const void* block) noexcept;

  void set_options(const HeapOptions& options);

  HeapStats stats();
  HeapReport check();
  void trim();

  const std::byte* arena_begin() const noexcept { return context_.books.base; }

 private:
  /// A block, and whether it is known to read as zero.
  struct Block {
    void* at = nullptr;
    bool zero = false;
  };
  Block allocate_block(std::size_t bytes, std::size_t alignment);
  Block try_once(std::size_t bytes, std::size_t alignment);
  Block allocate_large(std::size_t bytes, std::size_t alignment);
  bool resize_large(Unit& head, std::size_t bytes);
  /// Whether pages of a large block behind its first `units` are excluded: those must not be given to others.
  bool keeps_excluded(const Unit& head, std::size_t units) const noexcept;
  bool deallocate_large(Unit& head, const std::byte* block) noexcept;

  unsigned home_shard() const noexcept { return thread_slot() & (context_.books.geometry.shard_count - 1); }

  /// The first unit of the span or large block that this address may belong to.
  Unit* first_unit_at(const void* block) const noexcept {
    const auto begin = reinterpret_cast<std::uintptr_t>(context_.books.base);
    const auto offset = reinterpret_cast<std::uintptr_t>(block) - begin;
    if (offset >= context_.capacity) return nullptr;
    Unit* const unit = context_.books.units + (offset >> unit_shift);
    const UnitTag tag = unit->tag();
    if (tag.kind() != UnitKind::slab_rest) return unit;
    return tag.distance_to_first() <= offset >> unit_shift ? unit - tag.distance_to_first() : nullptr;
  }

  HeapContext context_;
  Runs runs_{context_};
  Slabs slabs_{context_, runs_};
  /// Where pages are larger than units, the ends of what was given back keep what they held.
  const bool clean_reads_as_zero_ = page_size() == unit_bytes;
  bool made_before_ = false;  // guarded by the page lock
};

/// The usable size of a block of `bytes`.
std::size_t rounded_block_size(std::size_t bytes) noexcept;

/// The root in the heap that begins at `begin`, as an offset; 0 if there is none. Throws as Heap::root() does.
std::uint64_t root_offset(const Header& header, std::uint64_t type);

}  // namespace cow::detail

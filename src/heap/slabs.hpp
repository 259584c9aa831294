// Small blocks: spans of units cut into equal blocks, in shards so that threads stay out of each other's way. Decides
// which page the next block comes from; gets its spans from Runs.
#pragma once

#include <cstddef>

#include "heap/context.hpp"
#include "heap/runs.hpp"

namespace cow::detail {

/// No lock may be held by the caller.
///
/// Which page: while there are blocks in pages known to be writable ("ready"), the last freed of those comes first, as
/// it is warm. Else a page is opened. One that was handed out before a cut costs a copy, so it must be worth it: a
/// fresh page is opened as long as free blocks are few, then the hollow ones, then the best of the oldest cold ones,
/// which have had the longest time to empty.
class Slabs {
 public:
  Slabs(HeapContext& context, Runs& runs) noexcept : context_(context), runs_(runs) {}

  /// nullptr: no shard has a block of this class, and the arena is full.
  void* allocate(unsigned home_shard, unsigned size_class);

  /// False if there is no live block at `block`. `head`: the first unit of the span that it lies in.
  bool deallocate(Unit& head, const std::byte* block) noexcept;

  /// The size of the live block at `block`, else 0.
  std::size_t block_size(Unit& head, const std::byte* block) noexcept;

  /// Returns spans that are kept for the next allocation though they are empty; true if there were any.
  bool release_empty_spans();

 private:
  struct Place {
    unsigned index;
    bool valid;
  };

  void* allocate_in(unsigned shard, unsigned size_class);
  bool refill(unsigned shard, unsigned size_class, ClassState& state);
  void start_epoch(Shard& shard, ClassState& state);
  bool open_fresh(unsigned shard, unsigned size_class, ClassState& state);
  bool reopen(ClassState& state, const SizeClass& cls);
  Unit* best_to_reopen(ClassState& state);
  void became_partial(Unit& head, ClassState& state, const SizeClass& cls);
  // These two are true if the runs now keep more memory than is likely to be wanted.
  bool became_empty(Unit& head, ClassState& state, const SizeClass& cls);
  bool release(Unit& head, ClassState& state, const SizeClass& cls);

  Place place_of(const Unit& head, const std::byte* block) const noexcept {
    const unsigned size_class = head.tag().size_class();
    if (size_class >= size_class_count) return {0, false};
    const SizeClass& cls = size_classes[size_class];
    const auto offset = static_cast<std::size_t>(block - start_of(head));
    const unsigned index = cls.block_at(offset);
    return {index, index < cls.blocks && std::size_t{index} * cls.block_bytes == offset};
  }
  std::byte* start_of(const Unit& head) const noexcept {
    return context_.books.address_of(context_.books.index_of(head));
  }

  HeapContext& context_;
  Runs& runs_;
};

}  // namespace cow::detail

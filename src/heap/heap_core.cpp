// Where a request goes: small sizes to the slabs, the rest to runs of units; and back again by what the unit says.
#include "heap/heap_core.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "heap/heap_check.hpp"

namespace cow::detail {

namespace {

constexpr std::size_t units_for(std::size_t bytes) noexcept {
  return std::max<std::size_t>(1, bytes / unit_bytes + (bytes % unit_bytes != 0));
}

bool was_never_written(const Arena& arena) {
  const ArenaStats stats = arena.stats();
  return stats.pages_private == 0 && stats.pages_borrowed == 0;
}

bool reads_as_zero(const std::byte* begin, std::size_t bytes) noexcept {
  return std::all_of(begin, begin + bytes, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

HeapCore::HeapCore(const ArenaRef& arena) : context_(arena) { RegistryEntry::arena_begin = context_.books.base; }

HeapCore::~HeapCore() { remove_from_registry(*this); }

HeapCore& HeapCore::of(const ArenaRef& arena) {
  const auto hook = arena.cut_hook([&arena] { return std::make_shared<HeapCore>(arena); });
  auto* const core = dynamic_cast<HeapCore*>(hook.get());
  if (core == nullptr) throw std::logic_error("cow::Heap: another allocator has its hook on this arena");
  add_to_registry(*core);  // not where it was made: the arena's lock was held there, and fork() takes both
  return *core;            // the arena keeps it
}

HeapCore& HeapCore::at(const void* arena_begin) {
  RegistryEntry* const entry = find_in_registry(arena_begin);
  if (entry == nullptr) {
    throw std::logic_error("cow::Allocator: no cow::Heap was attached to this arena, or it is a read-only view");
  }
  return static_cast<HeapCore&>(*entry);
}

void HeapCore::after_cut() noexcept {
  context_.start_cut();
  WholeHeapLock::release(context_);
}

void HeapCore::in_fork_child() noexcept {
  WholeHeapLock::let_go_in_child(context_);
  context_.start_cut();
}

void HeapCore::attach(const Arena& arena) {
  if (context_.books.geometry.first_unit >= context_.books.geometry.unit_count) {
    throw std::invalid_argument("cow::Heap: an arena of " + std::to_string(context_.capacity) +
                                " bytes has no room for a heap and a block");
  }
  const PageGuard guard(context_.page_lock);
  Header& header = *context_.books.header;
  if (context_.holds_heap()) {
    if (header.version == heap_version && header.capacity == context_.capacity) return;
    if (header.version != heap_version) {
      throw std::invalid_argument("cow::Heap: the arena holds a heap of another version");
    }
    throw std::invalid_argument("cow::Heap: the arena has " + std::to_string(context_.capacity) +
                                " bytes, and the heap in it was made for " + std::to_string(header.capacity) +
                                "; load it with the capacity that it was saved with");
  }
  if (!reads_as_zero(context_.books.base, unit_bytes) || !(made_before_ || was_never_written(arena))) {
    throw std::invalid_argument(
        "cow::Heap: the arena was written to and holds no heap; make the Heap before writing to the arena");
  }
  if (arena.stats().pages_excluded != 0) {
    throw std::logic_error("cow::Heap: pages of the arena are excluded, which a heap would put blocks into; make the "
                           "heap first, and exclude pages inside a large block of it");
  }
  made_before_ = true;  // should a rollback take the heap away, the arena's past is not another's
  runs_.format();
  header.version = heap_version;
  header.capacity = context_.capacity;
  header.magic = heap_magic;
}

void* HeapCore::allocate(std::size_t bytes, std::size_t alignment) { return allocate_block(bytes, alignment).at; }

void* HeapCore::allocate_zeroed(std::size_t bytes, std::size_t alignment) {
  const Block block = allocate_block(bytes, alignment);
  if (block.at != nullptr && !block.zero) std::memset(block.at, 0, bytes);
  return block.at;
}

HeapCore::Block HeapCore::allocate_block(std::size_t bytes, std::size_t alignment) {
  if (bytes > context_.capacity || alignment > context_.capacity) return {};
  if (const Block block = try_once(bytes, alignment); block.at != nullptr) return block;
  return slabs_.release_empty_spans() ? try_once(bytes, alignment) : Block{};
}

void* HeapCore::allocate_or_throw(std::size_t bytes, std::size_t alignment) {
  if (void* const block = allocate(bytes, alignment)) return block;
  throw_full(bytes, alignment);
}

void HeapCore::throw_full(std::size_t bytes, std::size_t alignment) const {
  throw HeapFull(context_.arena.name(), context_.capacity, bytes, alignment);
}

HeapCore::Block HeapCore::try_once(std::size_t bytes, std::size_t alignment) {
  if (bytes <= max_small_bytes && alignment <= unit_bytes) {
    const unsigned size_class =
        alignment <= block_step ? size_class_of(bytes) : aligned_size_class_of(bytes, alignment);
    if (size_class < size_class_count) {
      if (void* const block = slabs_.allocate(home_shard(), size_class)) return {block, false};
    }
  }
  return allocate_large(bytes, std::max(alignment, unit_bytes));
}

HeapCore::Block HeapCore::allocate_large(std::size_t bytes, std::size_t alignment) {
  const PageGuard guard(context_.page_lock);
  context_.require_heap();
  const Runs::Large large = runs_.take_large(units_for(bytes), alignment);
  if (large.first == 0) return {};
  return {context_.books.address_of(large.first), large.clean && clean_reads_as_zero_};
}

void HeapCore::deallocate(void* block) noexcept {
  if (block == nullptr) return;
  const auto* const at = static_cast<const std::byte*>(block);
  Unit* const head = first_unit_at(block);
  const bool done = head != nullptr && (head->tag().kind() == UnitKind::large ? deallocate_large(*head, at)
                                                                              : slabs_.deallocate(*head, at));
  if (!done) [[unlikely]]
    context_.refuse(block);
}

bool HeapCore::keeps_excluded(const Unit& head, std::size_t units) const noexcept {
  if (units >= head.length) return false;
  const std::byte* const from = context_.books.address_of(context_.books.index_of(head) + units);
  return context_.arena.has_excluded(from, (head.length - units) * unit_bytes);
}

bool HeapCore::deallocate_large(Unit& head, const std::byte* block) noexcept {
  const PageGuard guard(context_.page_lock);
  const std::size_t first = context_.books.index_of(head);
  if (head.tag().kind() != UnitKind::large || context_.books.address_of(first) != block) return false;
  if (keeps_excluded(head, 0)) return false;
  runs_.give_back_large(first);
  if (runs_.keeps_too_much()) runs_.purge_surplus();
  return true;
}

std::size_t HeapCore::usable_size(const void* block) noexcept {
  const auto* const at = static_cast<const std::byte*>(block);
  Unit* const head = first_unit_at(block);
  if (head == nullptr) return 0;
  if (head->tag().kind() != UnitKind::large) return slabs_.block_size(*head, at);
  const PageGuard guard(context_.page_lock);
  const bool is_start = context_.books.address_of(context_.books.index_of(*head)) == at;
  return is_start && head->tag().kind() == UnitKind::large ? head->length * unit_bytes : 0;
}

void* HeapCore::reallocate(void* block, std::size_t bytes) {
  const std::size_t had = usable_size(block);
  if (had == 0) throw std::invalid_argument("cow::Heap::reallocate: not a live block of this heap");
  if (had > max_small_bytes && bytes > max_small_bytes) {
    if (resize_large(*first_unit_at(block), bytes)) return block;
  } else if (bytes <= had && bytes > had / 2) {
    return block;
  }
  if (context_.arena.has_excluded(block, had)) {
    throw std::invalid_argument("cow::Heap::reallocate: pages of the block are excluded, and it cannot move");
  }
  void* const moved = allocate(bytes, block_step);
  if (moved == nullptr) return bytes <= had ? block : nullptr;
  std::memcpy(moved, block, std::min(had, bytes));
  deallocate(block);
  return moved;
}

bool HeapCore::resize_large(Unit& head, std::size_t bytes) {
  if (bytes > context_.capacity) return false;
  const std::size_t units = units_for(bytes), first = context_.books.index_of(head);
  const PageGuard guard(context_.page_lock);
  if (units > head.length) return runs_.grow_large(first, units);
  if (keeps_excluded(head, units)) return true;  // it keeps its size
  runs_.shrink_large(first, units);
  if (runs_.keeps_too_much()) runs_.purge_surplus();
  return true;
}

void HeapCore::set_root(const void* root, std::uint64_t type) {
  if (root != nullptr && !context_.arena.contains(root)) {
    throw std::invalid_argument("cow::Heap::set_root: the root must lie in the heap's arena");
  }
  const PageGuard guard(context_.page_lock);
  context_.require_heap();
  Header& header = *context_.books.header;
  const std::uint64_t offset =
      root == nullptr ? 0 : static_cast<std::uint64_t>(static_cast<const std::byte*>(root) - context_.books.base);
  std::atomic_ref(header.root).store(offset, std::memory_order_relaxed);
  header.root_type = type;
}

void HeapCore::forget_root_in(const void* block) noexcept {
  std::uint64_t& root = context_.books.header->root;
  const auto offset = static_cast<std::uint64_t>(static_cast<const std::byte*>(block) - context_.books.base);
  // Most objects are not the root's: no lock for them.
  const std::uint64_t seen = std::atomic_ref(root).load(std::memory_order_relaxed);
  if (seen < offset || seen == 0 || seen - offset >= usable_size(block)) return;
  const PageGuard guard(context_.page_lock);
  if (root != seen) return;
  std::atomic_ref(root).store(0, std::memory_order_relaxed);
  context_.books.header->root_type = 0;
}

void HeapCore::set_options(const HeapOptions& options) {
  const PageGuard guard(context_.page_lock);
  context_.require_heap();
  runs_.set_most_kept(options.keep_free_bytes);
  runs_.purge_surplus();
}

void* HeapCore::root(std::uint64_t type) {
  const PageGuard guard(context_.page_lock);
  context_.require_heap();
  const std::uint64_t offset = root_offset(*context_.books.header, type);
  return offset == 0 ? nullptr : context_.books.base + offset;
}

std::uint64_t root_offset(const Header& header, std::uint64_t type) {
  if (header.root != 0 && header.root_type != 0 && type != 0 && header.root_type != type) {
    throw std::logic_error("cow::Heap::root: the root was set as another type");
  }
  return header.root;
}

HeapStats HeapCore::stats() {
  const WholeHeapLock guard(context_);
  context_.require_heap();
  return heap_stats(context_);
}

HeapReport HeapCore::check() {
  HeapFindings findings;
  {
    const WholeHeapLock guard(context_);
    findings = check_heap(context_);
  }
  return describe(findings);  // unlocked: its strings may come from this very heap
}

void HeapCore::trim() {
  slabs_.release_empty_spans();
  const PageGuard guard(context_.page_lock);
  context_.require_heap();
  runs_.purge_all();
}

std::size_t rounded_block_size(std::size_t bytes) noexcept {
  if (bytes <= max_small_bytes) return size_classes[size_class_of(bytes)].block_bytes;
  if (bytes > SIZE_MAX - unit_bytes) return bytes;
  return units_for(bytes) * unit_bytes;
}

}  // namespace cow::detail

// The public handle: errors become exceptions here.
#include "cow/heap.hpp"

#include <bit>
#include <cstdio>

#include "heap/heap_core.hpp"

namespace cow {

HeapFull::HeapFull(const char* arena_name, std::size_t capacity, std::size_t requested, std::size_t alignment) noexcept
    : capacity_(capacity), requested_(requested) {
  std::snprintf(text_, sizeof text_,
                "cow::Heap: the arena \"%.64s\" of %zu bytes, a capacity that is fixed, has no room for %zu bytes "
                "aligned to %zu: free blocks, or make the arena larger",
                arena_name, capacity, requested, alignment);
}

Heap::Heap(Arena& arena) : core_(&detail::HeapCore::of(arena.ref())) { core_->attach(arena); }

Heap::Heap(Arena& arena, const HeapOptions& options) : Heap(arena) { core_->set_options(options); }

namespace {

void require_power_of_two(std::size_t alignment) {
  if (std::has_single_bit(alignment)) return;
  throw std::invalid_argument("cow::Heap::allocate: an alignment is a power of two, not " + std::to_string(alignment));
}

template <class F>
void* nullptr_for_exceptions(F&& f) noexcept {
  try {
    return f();
  } catch (const std::exception&) {
    return nullptr;
  }
}

}  // namespace

void* Heap::allocate(std::size_t bytes, std::size_t alignment) {
  require_power_of_two(alignment);
  return core_->allocate_or_throw(bytes, alignment);
}

void* Heap::try_allocate(std::size_t bytes, std::size_t alignment) noexcept {
  if (!std::has_single_bit(alignment)) return nullptr;
  return nullptr_for_exceptions([&] { return core_->allocate(bytes, alignment); });
}

void* Heap::allocate_zeroed(std::size_t bytes, std::size_t alignment) {
  require_power_of_two(alignment);
  if (void* const block = core_->allocate_zeroed(bytes, alignment)) return block;
  core_->throw_full(bytes, alignment);
}

void* Heap::try_allocate_zeroed(std::size_t bytes, std::size_t alignment) noexcept {
  if (!std::has_single_bit(alignment)) return nullptr;
  return nullptr_for_exceptions([&] { return core_->allocate_zeroed(bytes, alignment); });
}

void* Heap::reallocate(void* block, std::size_t bytes) {
  if (block == nullptr) return allocate(bytes);
  if (void* const resized = core_->reallocate(block, bytes)) return resized;
  core_->throw_full(bytes, alignof(std::max_align_t));
}

void* Heap::try_reallocate(void* block, std::size_t bytes) noexcept {
  if (block == nullptr) return try_allocate(bytes);
  return nullptr_for_exceptions([&] { return core_->reallocate(block, bytes); });
}

void Heap::deallocate(void* block) noexcept { core_->deallocate(block); }

std::size_t Heap::usable_size(const void* block) const noexcept { return core_->usable_size(block); }

std::size_t Heap::rounded_size(std::size_t bytes) noexcept { return detail::rounded_block_size(bytes); }

void Heap::put_root(void* root, std::uint64_t type) { core_->set_root(root, type); }

void* Heap::get_root(std::uint64_t type) const { return core_->root(type); }

void Heap::forget_root_in(const void* block) noexcept { core_->forget_root_in(block); }

HeapStats Heap::stats() const { return core_->stats(); }

HeapReport Heap::check() const { return core_->check(); }

void Heap::trim() { core_->trim(); }

const void* detail::root_in_view(const std::byte* data, std::size_t size, std::uint64_t type) {
  if (data == nullptr) {
    throw std::logic_error("cow::Heap::root: the View is empty or was moved from; open one from a Snapshot");
  }
  const auto* const header = reinterpret_cast<const Header*>(data);
  if (size < sizeof(Header) || header->magic != heap_magic || header->version != heap_version ||
      header->capacity != size) {
    throw std::invalid_argument("cow::Heap::root: the view holds no heap");
  }
  const std::uint64_t offset = root_offset(*header, type);
  return offset == 0 ? nullptr : data + offset;
}

}  // namespace cow

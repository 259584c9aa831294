// See barrier/home_alias.hpp.
#include "barrier/home_alias.hpp"

namespace cow {

void map_home_alias(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  if (books.home_alias.load(std::memory_order_relaxed) != nullptr) return;
  const FrameFile& file = books.family.file;
  const Frame home = books.home->frame_of({0});
  const std::size_t bytes = books.bytes(books.pages);
  const os::Result<void*> range = os::reserve_addresses(nullptr, bytes);
  if (!range) return;
  if (os::map_file(range.value, bytes, os::Access::read_write, file.fd(home), file.offset(home))) {
    return os::unmap(range.value, bytes);
  }
  os::hide_from_core_dumps(range.value, bytes);  // the arena itself is in them
  os::hide_from_children(range.value, bytes);    // shared and writable: a child must not be able to reach it
  books.home_alias.store(static_cast<std::byte*>(range.value), std::memory_order_release);
  MappingBudget::used.fetch_add(1, std::memory_order_relaxed);
}

void unmap_home_alias(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  std::byte* const alias = books.home_alias.exchange(nullptr, std::memory_order_relaxed);
  if (alias == nullptr) return;
  os::unmap(alias, books.bytes(books.pages));
  MappingBudget::used.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace cow

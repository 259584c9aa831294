// See barrier/home_alias.hpp.
#include "barrier/home_alias.hpp"

#include <utility>

namespace cow {
namespace {

/// What one page of page tables shows: what moves from a place to one that lies alike in it moves by whole tables.
constexpr std::uintptr_t table_bytes = std::uintptr_t{1} << 21;

/// Addresses that lie like the arena's.
os::Result<std::byte*> reserve_like_arena(const ArenaBooks& books, std::size_t bytes) noexcept {
  const os::Result<void*> range = os::reserve_addresses(nullptr, bytes + table_bytes);
  if (!range) return {nullptr, range.error};
  std::byte* const at = static_cast<std::byte*>(range.value);
  const std::uintptr_t wanted = reinterpret_cast<std::uintptr_t>(books.base);
  const std::size_t before = (wanted - reinterpret_cast<std::uintptr_t>(at)) % table_bytes;
  if (before != 0) os::unmap(at, before);
  os::unmap(at + before + bytes, table_bytes - before);
  return {at + before, {}};
}

void hide(std::byte* at, std::size_t bytes) noexcept {
  os::hide_from_core_dumps(at, bytes);  // the arena itself is in them
  os::hide_from_children(at, bytes);    // shared and writable: a child must not be able to reach it
}

}  // namespace

NewHomeAlias::NewHomeAlias(ArenaBooks& books) noexcept COW_FAULT_LOCKED : books_(books) {
  if (books.home_alias.load(std::memory_order_relaxed) != nullptr) return;
  const os::Result<std::byte*> range = reserve_like_arena(books, books.bytes(books.pages));
  if (range) at_ = range.value;
}

NewHomeAlias::~NewHomeAlias() {
  if (at_ == nullptr) return;
  if (map_up_to({books_.pages})) {
    give_up();
  } else {
    books_.home_alias.store(at_, std::memory_order_release);
    MappingBudget::used.fetch_add(1, std::memory_order_relaxed);
  }
}

os::Error NewHomeAlias::map_up_to(Page end) noexcept {
  if (mapped_up_to_ == end) return {};
  const FrameFile& file = books_.family.file;
  const Frame frame = books_.home->frame_of(mapped_up_to_);
  std::byte* const at = place_of(mapped_up_to_);
  const std::size_t bytes = books_.bytes(end - mapped_up_to_);
  const os::Error error = os::map_file(at, bytes, os::Access::read_write, file.fd(frame), file.offset(frame));
  if (error) return error;
  hide(at, bytes);
  mapped_up_to_ = end;
  return {};
}

void NewHomeAlias::take_page_tables(Pages fresh) noexcept COW_FAULT_LOCKED {
  std::byte* const from = books_.address_of(fresh.first);
  const std::size_t bytes = books_.bytes(fresh.count);
  if (at_ == nullptr || runs_ == most_runs || fresh.first < mapped_up_to_ || os::is_locked(from, bytes)) return;
  if (map_up_to(fresh.first)) return give_up();
  std::byte* const to = place_of(fresh.first);
  if (os::move_page_tables(from, bytes, to)) return give_up_but_for(fresh);
  mapped_up_to_ = fresh.end();
  ++runs_;
  // Whatever the program has asked of its mapping, the alias can be stored to.
  if (os::protect(to, bytes, os::Access::read_write)) return give_up();
  hide(to, bytes);
}

void NewHomeAlias::give_up() noexcept { os::unmap(std::exchange(at_, nullptr), books_.bytes(books_.pages)); }

/// A move that fails may have let go of the addresses where it should have gone: what another thread has mapped there by
/// now is not ours. If they are ours still they stay reserved, which takes no memory.
void NewHomeAlias::give_up_but_for(Pages lost) noexcept {
  std::byte* const at = std::exchange(at_, nullptr);
  const os::Result<void*> again = os::reserve_addresses(at + books_.bytes(lost.first.value), books_.bytes(lost.count));
  if (again) return os::unmap(at, books_.bytes(books_.pages));
  if (lost.first.value != 0) os::unmap(at, books_.bytes(lost.first.value));
  if (lost.end().value < books_.pages) {
    os::unmap(at + books_.bytes(lost.end().value), books_.bytes(books_.pages - lost.end().value));
  }
}

void map_home_alias(ArenaBooks& books) noexcept COW_FAULT_LOCKED { const NewHomeAlias made(books); }

void unmap_home_alias(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  std::byte* const alias = books.home_alias.exchange(nullptr, std::memory_order_relaxed);
  if (alias == nullptr) return;
  os::unmap(alias, books.bytes(books.pages));
  MappingBudget::used.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace cow

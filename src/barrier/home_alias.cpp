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

os::Error map_home(const ArenaBooks& books, std::byte* alias, Pages run) noexcept {
  const FrameFile& file = books.family.file;
  const Frame frame = books.home->frame_of(run.first);
  return os::map_file(alias + books.bytes(run.first.value), books.bytes(run.count), os::Access::read_write,
                      file.fd(frame), file.offset(frame));
}

void hide(const ArenaBooks& books, std::byte* alias, Pages run) noexcept {
  std::byte* const at = alias + books.bytes(run.first.value);
  os::hide_from_core_dumps(at, books.bytes(run.count));  // the arena itself is in them
  os::hide_from_children(at, books.bytes(run.count));    // shared and writable: a child must not be able to reach it
}

}  // namespace

NewHomeAlias::NewHomeAlias(ArenaBooks& books) noexcept COW_FAULT_LOCKED : books_(books) {
  if (books.home_alias.load(std::memory_order_relaxed) != nullptr) return;
  const os::Result<std::byte*> range = reserve_like_arena(books, books.bytes(books.pages));
  if (!range) return;
  at_ = range.value;
  const Pages all{{0}, books.pages};
  if (map_home(books, at_, all)) {
    give_up();
  } else {
    hide(books, at_, all);
  }
}

NewHomeAlias::~NewHomeAlias() {
  if (at_ == nullptr) return;
  books_.home_alias.store(at_, std::memory_order_release);
  MappingBudget::used.fetch_add(1, std::memory_order_relaxed);
}

void NewHomeAlias::take_page_tables(Pages fresh) noexcept COW_FAULT_LOCKED {
  std::byte* const from = books_.address_of(fresh.first);
  const std::size_t bytes = books_.bytes(fresh.count);
  if (at_ == nullptr || os::is_locked(from, bytes)) return;
  std::byte* const to = at_ + books_.bytes(fresh.first.value);
  // What the program has asked of its mapping comes along: whatever that was, the alias can be stored to.
  os::Error error = os::move_page_tables(from, bytes, to);
  if (!error) error = os::protect(to, bytes, os::Access::read_write);
  if (error && map_home(books_, at_, fresh)) return give_up();
  hide(books_, at_, fresh);
}

void NewHomeAlias::give_up() noexcept { os::unmap(std::exchange(at_, nullptr), books_.bytes(books_.pages)); }

void map_home_alias(ArenaBooks& books) noexcept COW_FAULT_LOCKED { const NewHomeAlias made(books); }

void unmap_home_alias(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  std::byte* const alias = books.home_alias.exchange(nullptr, std::memory_order_relaxed);
  if (alias == nullptr) return;
  os::unmap(alias, books.bytes(books.pages));
  MappingBudget::used.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace cow

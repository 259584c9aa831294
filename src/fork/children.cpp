// Children of fork(). See fork/children.hpp.
#include "fork/children.hpp"

#include <atomic>
#include <cstdint>
#include <limits>
#include <utility>

#include "arena/lifetime.hpp"
#include "arena/operation.hpp"
#include "kernel/os.hpp"

namespace cow {
namespace {

using Children =
    boost::intrusive::slist<ForkChild, boost::intrusive::constant_time_size<false>, boost::intrusive::cache_last<true>>;

constexpr std::uint64_t asked_at_once = 8;

/// Never destroyed: static arenas may end after it would be.
Children& children() noexcept {
  alignas(Children) static std::byte place[sizeof(Children)];
  static Children& made = *::new (place) Children;
  return made;
}

// Before there are threads: a fork() child would wait for ever for one that was making it.
[[maybe_unused]] const Children& made_early = children();

ListLock list_lock;  // covers the list; no other lock is taken inside
std::atomic<std::uint64_t> child_count{0};  // to be asked without the lock

void release(ForkChild& child) noexcept COW_SIGNALS_BLOCKED {
  for (const KeptVersion& kept : child.kept) {
    if (kept.loan != nullptr) give_back_loan(kept.version->books.family, kept.loan);
    release_version(kept.version);
  }
}

void release_ended_of(std::uint64_t most) noexcept {
  std::uint64_t left = child_count.load(std::memory_order_relaxed);
  if (left == 0) return;
  if (left > most) left = most;
  const os::AsyncSignalsBlocked blocked;
  Children ended;
  {
    FaultLockHeld held(list_lock);
    for (Children& all = children(); left != 0 && !all.empty(); --left) {
      ForkChild& child = all.front();
      all.pop_front();
      (child.has_ended() ? ended : all).push_back(child);
    }
  }
  if (ended.empty()) return;
  on_ordinary_stack([&]() COW_HELD_UNCHECKED {  // signals are blocked above
    while (!ended.empty()) {
      ForkChild& child = ended.front();
      ended.pop_front();
      child_count.fetch_sub(1, std::memory_order_relaxed);
      release(child);
      book_delete(&child);
    }
  });
}

}  // namespace

os::Error ForkChild::open() noexcept {
  const os::Result<os::Descriptor> fd = os::create_empty_memory_file("cow-child");
  if (!fd) return fd.error;
  fd_ = fd.value;
  const os::Result<void*> page = os::reserve_addresses(nullptr, os::page_size());
  if (!page) return page.error;
  page_ = page.value;
  return os::map_file(page_, os::page_size(), os::Access::none, fd_, 0);
}

void ForkChild::leave_page_to_child() noexcept {
  os::unmap(std::exchange(page_, nullptr), os::page_size());
}

bool ForkChild::has_ended() const noexcept { return !os::has_shared_mappings(fd_); }

ForkChild::~ForkChild() {
  if (page_ != nullptr) os::unmap(page_, os::page_size());
  os::close_file(fd_);
}

namespace fork_children {

void add(ForkChild& child) noexcept {
  FaultLockHeld held(list_lock);
  children().push_back(child);
  child_count.fetch_add(1, std::memory_order_relaxed);
}

void begin_in_child() noexcept {
  if (!list_lock.is_held()) children().clear_and_dispose([](ForkChild* child) { book_delete(child); });
  children().clear();
  list_lock.let_go_in_child();
  child_count.store(0, std::memory_order_relaxed);
}

void release_ended() noexcept { release_ended_of(std::numeric_limits<std::uint64_t>::max()); }
void release_some_ended() noexcept { release_ended_of(asked_at_once); }

}  // namespace fork_children
}  // namespace cow

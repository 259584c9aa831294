// See arena/came_along.hpp.
#include "arena/came_along.hpp"

#include <cstring>

#include "barrier/barrier.hpp"
#include "rule/close_again.hpp"

namespace cow {

bool LookingAtCameAlong::wants(Pages run) const noexcept COW_HELD_UNCHECKED {
  const ArenaBooks& books = version_.books;
  return !books.barrier->collects && books.came_along.unseen.intersects(run);
}

bool LookingAtCameAlong::is_as_it_was(Page p, const std::byte* content) noexcept {
  ArenaBooks& books = version_.books;
  if (!wants({p, 1})) return false;
  if (std::memcmp(books.address_of(p), content, books.bytes(1)) != 0) {
    FaultLockHeld held(*books.fault_lock);
    books.came_along.unseen.erase({p, 1});
    return false;
  }
  if (p != unchanged_.end()) close();
  if (unchanged_.count == 0) unchanged_.first = p;
  ++unchanged_.count;
  return true;
}

void LookingAtCameAlong::close() noexcept {
  const Pages run = unchanged_;
  unchanged_ = {};
  if (run.count == 0) return;
  ArenaBooks& books = version_.books;
  FaultLockHeld held(*books.fault_lock);
  CameAlong& pages = books.came_along;
  pages.unseen.erase(run);
  if (!close_again(books, run)) return;
  if (pages.version != version_.name) {
    pages.forget();
    pages.version = version_.name;
  }
  pages.unchanged.insert(run);
}

}  // namespace cow

// The home alias: a second mapping of all of an arena's home, shared and writable, for what must reach frames past the
// arena's own mapping. The fault lock is held where it is made; the arena's end unmaps it.
#pragma once

#include "books/arena_books.hpp"
#include "words/units.hpp"

namespace cow {

/// One in the making, of which nobody knows yet; none where there is one already, or where the kernel refuses. At its
/// end it is the arena's.
class NewHomeAlias {
 public:
  explicit NewHomeAlias(ArenaBooks& books) noexcept COW_FAULT_LOCKED;
  ~NewHomeAlias();
  NewHomeAlias(const NewHomeAlias&) = delete;
  NewHomeAlias& operator=(const NewHomeAlias&) = delete;

  /// Those of pages that the arena's own mapping shows at home, shared, which loses them: what has been touched there
  /// need not be touched once more. In ascending order; of the first runs alone, since what the program has asked of
  /// its mapping comes along, and makes each a mapping of its own.
  void take_page_tables(Pages fresh) noexcept COW_FAULT_LOCKED;

 private:
  static constexpr int most_runs = 64;

  std::byte* place_of(Page p) const noexcept { return at_ + books_.bytes(p.value); }
  os::Error map_up_to(Page end) noexcept;
  void give_up() noexcept;
  void give_up_but_for(Pages lost) noexcept;

  ArenaBooks& books_;
  std::byte* at_ = nullptr;  // addresses alone, from mapped_up_to_ on
  Page mapped_up_to_{0};
  int runs_ = 0;
};

/// Makes it if there is none; does nothing where the kernel refuses.
void map_home_alias(ArenaBooks& books) noexcept COW_FAULT_LOCKED;
void unmap_home_alias(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

/// Whether it shows page p: for certain with the fault lock; else a hint, good for as long as the page's entry stays.
inline bool reached_by_alias(const ArenaBooks& books, Page p) noexcept {
  return books.home_alias.load(std::memory_order_acquire) != nullptr && books.frame_of(p) == books.home->frame_of(p);
}
/// Once it was reached: there it stays while the arena lives.
inline std::byte* alias_of(const ArenaBooks& books, Page p) noexcept {
  return books.home_alias.load(std::memory_order_acquire) + books.bytes(p.value);
}

/// Where to read what an arena holds, once it was asked what has been written and nobody writes it: what is collected a
/// frame holds as well as the front, and the alias has reached that. Excluded pages are where they are. No lock: a cut
/// meanwhile changes nothing of what is in either.
inline const std::byte* content_known_to_books(const ArenaBooks& books, Page p) noexcept COW_HELD_UNCHECKED {
  const bool by_alias = books.fronts.in_use.load(std::memory_order_relaxed) && !books.is_excluded(p) &&
                        !books.fronts.uncollected.contains(p);
  return by_alias && reached_by_alias(books, p) ? alias_of(books, p) : books.address_of(p);
}

}  // namespace cow

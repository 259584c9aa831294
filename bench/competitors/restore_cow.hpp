// Rollback competitor: this library; one snapshot, rolled back to again and again.
#pragma once

#include "competitors/cow_arena.hpp"
#include "competitors/restorer.hpp"

namespace bench {

template <cow::Barrier kind>
class RestoreCow {
 public:
  static constexpr std::string_view label = CowSnapshots<kind>::label;

  explicit RestoreCow(std::size_t bytes) : arena_(make_arena(bytes, kind)) {}

  std::byte* data() noexcept { return arena_.data(); }
  void save() { saved_ = arena_.snapshot(); }
  void restore(std::span<const Page>) { arena_.rollback(saved_); }
  std::string note() const { return barrier_note(arena_); }

 private:
  cow::Arena arena_;
  cow::Snapshot saved_;
};
static_assert(Restorer<RestoreCow<cow::Barrier::mprotect>>);

}  // namespace bench

// What the guide says of a program's own madvise(), mprotect() and mremap() on an arena's memory: what is harmless,
// what the kernel refuses, what is noticed, and what takes content away from snapshots and clones without notice.
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>

#include <sys/mman.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/deaths.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 1024;  // more than one page table spans

Picture picture(std::size_t changed_from, std::size_t changed_to, std::uint64_t value) {
  Picture all(pages, 1);
  for (std::size_t page = changed_from; page < changed_to; ++page) all[page] = value;
  return all;
}

/// An arena, a snapshot, a view and a clone of it, and what the arena and the clone have written since.
class OwnAdvice : public BarrierTest {
 protected:
  void SetUp() override {
    BarrierTest::SetUp();
    if (IsSkipped()) return;
    arena_.emplace(make_arena(pages));
    fill_run(*arena_, 0, pages, 1);
    snapshot_ = arena_->snapshot();
  }
  void share() {
    view_.emplace(snapshot_.view());
    clone_.emplace(snapshot_.clone());
    fill_run(*arena_, 10, 10, 2);
    fill_run(*clone_, 15, 10, 3);
  }
  int advise(int advice) const { return ::madvise(arena_->data(), arena_->capacity(), advice); }

  testing::AssertionResult all_is_right() const {
    if (auto result = shows(*arena_, picture(10, 20, 2)); !result) return result << " (arena)";
    if (auto result = shows(snapshot_, picture(0, 0, 0)); !result) return result << " (snapshot)";
    if (auto result = shows(*view_, picture(0, 0, 0)); !result) return result << " (view)";
    if (auto result = shows(*clone_, picture(15, 25, 3)); !result) return result << " (clone)";
    return testing::AssertionSuccess();
  }
  /// Whether stores are still caught.
  testing::AssertionResult protection_holds() {
    const Snapshot now = arena_->snapshot();
    for (const std::size_t page : {0U, 12U, 600U, 1023U}) put_mark(*arena_, page, 99);
    for (const std::size_t page : {0U, 12U, 600U, 1023U}) {
      if (mark_of(now, page) == 99) return testing::AssertionFailure() << "a store to page " << page << " was not seen";
    }
    arena_->rollback(now);
    return testing::AssertionSuccess();
  }

  std::optional<Arena> arena_, clone_;
  std::optional<View> view_;
  Snapshot snapshot_;
};
COW_FOR_EVERY_BARRIER(OwnAdvice);

TEST_P(OwnAdvice, MADV_DONTNEED_and_COLD_and_PAGEOUT_change_nothing) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  share();
  for (const int advice : {MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, MADV_RANDOM, MADV_NORMAL}) {
    ASSERT_EQ(advise(advice), 0) << advice;
    ASSERT_EQ(::madvise(clone_->data(), clone_->capacity(), advice), 0);
    ASSERT_EQ(::madvise(const_cast<std::byte*>(view_->data()), view_->size(), advice), 0);
    EXPECT_TRUE(all_is_right()) << advice;
    EXPECT_TRUE(protection_holds()) << advice;
    const Snapshot now = arena_->snapshot();  // everything is protected, then its page table entries go
    ASSERT_EQ(advise(advice), 0);
    put_mark(*arena_, 700, 50);
    EXPECT_EQ(mark_of(now, 700), 1U) << advice;
    EXPECT_EQ(arena_->changed_since(now).size(), 1U);
    arena_->rollback(now);
  }
  EXPECT_TRUE(all_is_right());
}

TEST_P(OwnAdvice, MADV_FREE_and_WIPEONFORK_are_refused_by_the_kernel) {
  share();
  for (const int advice : {MADV_FREE, MADV_WIPEONFORK}) {
    EXPECT_EQ(advise(advice), -1);
    EXPECT_EQ(errno, EINVAL);
  }
  EXPECT_TRUE(all_is_right());
}

// The caveat, and discard(), which is what to use instead.
TEST_P(OwnAdvice, MADV_REMOVE_takes_content_from_snapshots_and_discard_does_not) {
  const std::size_t bytes = 4 * page_size();
  if (::madvise(page_at(*arena_, 100), bytes, MADV_REMOVE) == 0) {
    EXPECT_EQ(mark_of(*arena_, 100), 0U);
    EXPECT_EQ(mark_of(snapshot_, 100), 0U);
    put_mark(*arena_, 100, 5);  // caught as before
    EXPECT_EQ(mark_of(snapshot_, 100), 0U);
  } else {
    EXPECT_EQ(errno, EACCES);  // what the kernel says where the mapping itself is read-only, if it looks at that
  }
  arena_->discard(page_at(*arena_, 200), bytes);
  EXPECT_EQ(mark_of(*arena_, 200), 0U);
  EXPECT_EQ(mark_of(snapshot_, 200), 1U);
}

TEST_P(OwnAdvice, mprotect_to_writable_lets_stores_by_and_prepare_write_does_not) {
  const bool unseen = GetParam() == Barrier::mprotect;  // with userfaultfd the mapping is writable already
  ASSERT_EQ(::mprotect(page_at(*arena_, 100), page_size(), PROT_READ | PROT_WRITE), 0);
  put_mark(*arena_, 100, 2);
  EXPECT_EQ(mark_of(snapshot_, 100), unseen ? 2U : 1U);
  arena_->prepare_write(page_at(*arena_, 200), page_size());
  put_mark(*arena_, 200, 2);
  EXPECT_EQ(mark_of(snapshot_, 200), 1U);
}

// A page that the program itself took the rights of: the fault is told, and kills as it would without us.
// What was never written is in a read-only mapping under each barrier.
TEST_P(OwnAdvice, mprotect_to_writable_of_what_was_never_written_lets_stores_by) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(2048);
  const Snapshot before = arena.snapshot();
  ASSERT_EQ(::mprotect(page_at(arena, 1030), page_size(), PROT_READ | PROT_WRITE), 0);
  put_mark(arena, 1030, 2);
  EXPECT_TRUE(arena.changed_since(before).empty());
}

TEST_P(OwnAdvice, mprotect_to_less_is_reported_when_it_is_met) {
  for (const char* what : {"none", "read"}) {
    const ChildResult child = run_child("meet_own_protection", std::string(name_of(GetParam())) + "," + what);
    EXPECT_TRUE(child.died_by(SIGSEGV)) << child.how();
    EXPECT_NE(child.error_text.find("something outside the library"), std::string::npos) << child.how();
  }
}

TEST_P(OwnAdvice, mremap_that_takes_pages_away_is_reported_when_they_are_met) {
  const ChildResult child = run_child("take_pages_away", name_of(GetParam()));
  EXPECT_TRUE(child.died_by(SIGSEGV) || child.died_by(SIGBUS)) << child.how();
  EXPECT_NE(child.error_text.find("cow: "), std::string::npos) << child.how();
}

Arena written_arena(const std::string& barrier) {
  die_by_signal();
  Arena arena(options_for(barrier == "mprotect" ? Barrier::mprotect : Barrier::userfaultfd, pages));
  fill_run(arena, 0, pages, 1);
  return arena;
}

COW_CHILD_BODY(meet_own_protection) {
  const std::size_t comma = argument.find(',');
  const Arena arena = written_arena(argument.substr(0, comma));
  const bool none = argument.substr(comma + 1) == "none";
  CHECK_IN_CHILD(::mprotect(page_at(arena, 5), page_size(), none ? PROT_NONE : PROT_READ) == 0);
  if (none) return static_cast<int>(mark_of(arena, 5));
  put_mark(arena, 5, 2);
  return 0;
}

COW_CHILD_BODY(take_pages_away) {
  const Arena arena = written_arena(argument);
  void* const elsewhere =
      ::mmap(nullptr, 4 * page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK_IN_CHILD(::mremap(page_at(arena, 5), 4 * page_size(), 4 * page_size(), MREMAP_MAYMOVE | MREMAP_FIXED,
                          elsewhere) == elsewhere);
  put_mark(arena, 6, 2);
  return 0;
}

}  // namespace
}  // namespace cow::test

// Promise: a clone's pages that are read where the clone shows them are known to be those only while none of its pages
// has moved; else what is written comes from the frames.
#include <sys/mman.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "arena/operation.hpp"
#include "arena/version_content.hpp"
#include "books/near_pages.hpp"
#include "cow/cow.hpp"
#include "kernel/fork_gate.hpp"
#include "rule/known_writes.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

class NearPagesOf : public BarrierTest {
 protected:
  void SetUp() override {
    BarrierTest::SetUp();
    if (IsSkipped()) return;
    if (!pages_are_read_in_place) GTEST_SKIP() << "not under a sanitizer";
    original.emplace(make_arena(16));
    fill_run(*original, 0, 16, 1);
    clone.emplace(original->clone());
    fill_run(*clone, 2, 4, 2);
    theirs = clone->snapshot();
  }
  ArenaBooks& books() { return *Access::books(*original); }

  std::optional<Arena> original, clone;
  Snapshot theirs;
};
COW_FOR_EVERY_BARRIER(NearPagesOf);

TEST_P(NearPagesOf, a_clone_lead_to_what_it_shows_until_some_have_moved) {
  VersionContent content(*Access::version(theirs));
  ASSERT_FALSE(content.open(books(), false));
  ASSERT_FALSE(content.add({{2}, 4}));
  {
    const VersionContent::Nearby nearby(content);
    EXPECT_TRUE(filled(content.at({3}), 2));
    EXPECT_NE(content.at({3}), content.lasting({3}));
    EXPECT_TRUE(nearby.held());
    if (GetParam() == Barrier::kernel) return;  // there it is the frame itself
    fill(*clone, 3, 3);
    EXPECT_FALSE(nearby.held());
  }
  const VersionContent::Nearby nearby(content);
  EXPECT_EQ(content.at({3}), content.lasting({3}));
  EXPECT_TRUE(filled(content.at({3}), 2));
  EXPECT_TRUE(nearby.held());
}

TEST_P(NearPagesOf, a_clone_that_is_gone_are_not_read) {
  NearPages near(*Access::books(*clone));
  EXPECT_TRUE(static_cast<bool>(NearPages::Reading(near)));
  clone.reset();
  EXPECT_FALSE(static_cast<bool>(NearPages::Reading(near)));
}

/// A page that cannot be read until somebody does: then pages of an arena have moved, and it holds something else.
class MovesWhenRead {
 public:
  explicit MovesWhenRead(ArenaBooks& books)
      : page(static_cast<std::byte*>(::mmap(nullptr, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    now_ = this;
    moves_ = &books.moves;
    struct sigaction action {};
    action.sa_handler = [](int) {
      ++now_->times;
      now_->moves_->fetch_add(2);
      ::mprotect(now_->page, page_size(), PROT_READ | PROT_WRITE);
      std::memset(now_->page, 9, page_size());
    };
    ::sigaction(SIGSEGV, &action, &before_);
  }
  MovesWhenRead(const MovesWhenRead&) = delete;
  MovesWhenRead& operator=(const MovesWhenRead&) = delete;
  ~MovesWhenRead() {
    ::sigaction(SIGSEGV, &before_, nullptr);
    ::munmap(page, page_size());
  }

  std::byte* const page;
  int times = 0;

 private:
  static inline MovesWhenRead* now_ = nullptr;
  std::atomic<std::uint64_t>* moves_;
  struct sigaction before_ {};
};

TEST_P(NearPagesOf, what_moves_while_it_is_read_is_written_once_more) {
  const std::vector<std::byte> right(page_size(), std::byte{7});
  const NearPages near(*Access::books(*clone));
  {
    MovesWhenRead source(*Access::books(*clone));
    const PageWrite write{{3}, right.data(), source.page};
    const WriterLockGuard guard(*books().fault_lock);
    ASSERT_FALSE(write_known_pages(books(), {&write, 1}, near));
    EXPECT_EQ(source.times, 1);
  }
  for (std::size_t at = 0; at < page_size(); ++at) ASSERT_EQ(page_at(*original, 3)[at], std::byte{7}) << at;
}

TEST_P(NearPagesOf, what_moved_is_not_what_is_written) {
  const std::vector<std::byte> right(page_size(), std::byte{7}), wrong(page_size(), std::byte{8});
  const PageWrite write{{3}, right.data(), wrong.data()};
  const NearPages none;
  const WriterLockGuard guard(*books().fault_lock);
  ASSERT_FALSE(write_known_pages(books(), {&write, 1}, none));
  EXPECT_EQ(*page_at(*original, 3), std::byte{7});
}

}  // namespace
}  // namespace cow::test

// What the guide says of reads that are under way while a snapshot is taken: which ones change the snapshot, since the
// kernel holds the page itself and not its address, and what to do instead.
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <thread>

#include <sys/uio.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/io_ring.hpp"
#include "support/pages.hpp"
#include "syscalls/filled_ends.hpp"

namespace cow::test {
namespace {

const std::string words = "new words";

class ReadInFlight : public BarrierTest {
 protected:
  void SetUp() override {
    BarrierTest::SetUp();
    if (IsSkipped()) return;
    if (!ring_) GTEST_SKIP() << "io_uring is not to be had here";
    arena_.emplace(make_arena(8));
    fill_run(*arena_, 0, 8, 1);
    before_ = arena_->snapshot();
    arena_->prepare_write(page(), page_size());
  }

  std::byte* page() const { return page_at(*arena_, 2); }
  bool arena_has_the_words() const { return std::memcmp(page(), words.data(), words.size()) == 0; }
  static bool has_the_words(const Snapshot& snapshot) {
    Bytes content(words.size());
    snapshot.read(2 * page_size(), content);
    return std::memcmp(content.data(), words.data(), words.size()) == 0;
  }
  static bool is_as_before(const Snapshot& snapshot) { return shows(snapshot, Picture(8, 1)); }

  /// Puts words into the pipe, and gives what the read under way says to that.
  int finish_read() {
    pipe_.put(words);
    return ring_.wait();
  }

  IoRing ring_;
  const Ends pipe_ = Ends::pipe();
  std::optional<Arena> arena_;
  Snapshot before_;
};
COW_FOR_EVERY_BARRIER(ReadInFlight);

// The caveat.
TEST_P(ReadInFlight, into_a_registered_buffer_changes_the_snapshot_that_is_taken_meanwhile) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  if (!ring_.register_buffer(page(), page_size())) GTEST_SKIP() << "the kernel pins no memory for this process";
  ASSERT_TRUE(ring_.begin_read(pipe_.reading_end(), page(), words.size(), true));
  const Snapshot meanwhile = arena_->snapshot();
  ASSERT_TRUE(is_as_before(meanwhile));
  ASSERT_EQ(finish_read(), static_cast<int>(words.size()));
  EXPECT_TRUE(arena_has_the_words());
  EXPECT_TRUE(has_the_words(meanwhile));
  EXPECT_TRUE(arena_->changed_since(meanwhile).empty());
  arena_->rollback(meanwhile);
  EXPECT_TRUE(arena_has_the_words());
  EXPECT_TRUE(is_as_before(before_)) << "what was kept before the read began is safe";
}

// The remedies: a buffer outside, handed over when it is full;
TEST_P(ReadInFlight, into_memory_outside_and_written_from_there_leaves_snapshots_alone) {
  alignas(64) std::byte outside[64];
  if (!ring_.register_buffer(outside, sizeof outside)) GTEST_SKIP() << "the kernel pins no memory for this process";
  ASSERT_TRUE(ring_.begin_read(pipe_.reading_end(), outside, words.size(), true));
  const Snapshot meanwhile = arena_->snapshot();
  ASSERT_EQ(finish_read(), static_cast<int>(words.size()));
  arena_->write(page(), outside, words.size());
  EXPECT_TRUE(arena_has_the_words());
  EXPECT_TRUE(is_as_before(meanwhile));
  EXPECT_EQ(arena_->changed_since(meanwhile).size(), 1U);
  arena_->rollback(meanwhile);
  EXPECT_TRUE(shows(*arena_, Picture(8, 1)));
}

// no snapshot before the read is done;
TEST_P(ReadInFlight, that_a_snapshot_waits_for_is_whole_in_it) {
  if (!ring_.register_buffer(page(), page_size())) GTEST_SKIP() << "the kernel pins no memory for this process";
  UpdateGate gate;
  std::optional<UpdateGate::Updating> reading(gate);
  ASSERT_TRUE(ring_.begin_read(pipe_.reading_end(), page(), words.size(), true));
  Snapshot taken;
  std::thread beside([&] {
    const UpdateGate::Quiet quiet(gate);
    taken = arena_->snapshot();
  });
  const int result = finish_read();
  reading.reset();
  beside.join();
  ASSERT_EQ(result, static_cast<int>(words.size()));
  EXPECT_TRUE(has_the_words(taken));
  fill(*arena_, 2, 3);
  EXPECT_TRUE(has_the_words(taken));
}

// or a buffer that is not registered: the kernel looks for the page again when there is something to read.
TEST_P(ReadInFlight, into_memory_that_is_not_registered_fails_after_a_snapshot_and_loses_nothing) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  ASSERT_TRUE(ring_.begin_read(pipe_.reading_end(), page(), words.size(), false));
  const Snapshot meanwhile = arena_->snapshot();
  EXPECT_EQ(finish_read(), -EFAULT);
  EXPECT_TRUE(is_as_before(meanwhile));
  EXPECT_TRUE(shows(*arena_, Picture(8, 1)));
  arena_->prepare_write(page(), page_size());
  ASSERT_TRUE(ring_.begin_read(pipe_.reading_end(), page(), words.size(), false));
  EXPECT_EQ(ring_.wait(), static_cast<int>(words.size()));
  EXPECT_TRUE(arena_has_the_words());
  EXPECT_TRUE(is_as_before(meanwhile));
}

// A buffer stays registered to the frame that it had: a page that moves since, for a view or a clone, is another.
TEST_P(ReadInFlight, into_a_registered_buffer_does_not_follow_a_page_that_has_moved) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  if (!ring_.register_buffer(page(), page_size())) GTEST_SKIP() << "the kernel pins no memory for this process";
  const Snapshot meanwhile = arena_->snapshot();
  const View view = meanwhile.view();
  fill(*arena_, 2, 5);
  ASSERT_TRUE(ring_.begin_read(pipe_.reading_end(), page(), words.size(), true));
  ASSERT_EQ(finish_read(), static_cast<int>(words.size()));
  EXPECT_FALSE(arena_has_the_words());
  EXPECT_TRUE(has_the_words(meanwhile));
}

}  // namespace
}  // namespace cow::test

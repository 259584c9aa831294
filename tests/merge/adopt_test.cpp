// Promise: adopt() makes an arena's content that of any version of its family, at its own addresses, copying only pages
// that differ; snapshots stay valid, and an adoption that throws has changed nothing.
#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/family.hpp"
#include "support/pages.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

class Adopt : public BarrierTest {};
COW_FOR_EVERY_BARRIER(Adopt);

TEST_P(Adopt, makes_what_a_clone_did_the_originals) {
  Painted original(make_arena(64));
  original.paint_run(0, 40, 1);
  const Snapshot before = original.arena().snapshot();
  Painted clone(before.clone(), original.picture());
  clone.paint_run(10, 5, 2);
  clone.paint(50, 3);
  clone.arena().discard(page_at(clone.arena(), 20), 2 * page_size());
  Picture result = clone.picture();
  result[20] = result[21] = 0;
  const std::byte* const address = original.arena().data();
  original.arena().adopt(clone.arena().snapshot());
  EXPECT_EQ(original.arena().data(), address);
  EXPECT_TRUE(shows(original.arena(), result));
  EXPECT_TRUE(shows(clone.arena(), result));
  original.arena().rollback(before);
  EXPECT_TRUE(original.is_right());
  EXPECT_TRUE(shows(clone.arena(), result));
}

TEST_P(Adopt, takes_the_version_whatever_its_arena_has_written_since) {
  Painted original(make_arena(64));
  original.paint_run(0, 40, 1);
  Painted clone(original.arena().clone(), original.picture());
  for (std::size_t p = 2; p < 20; p += 3) clone.paint_run(p, 2, 2);
  const Picture then = clone.picture();
  const Snapshot version = clone.arena().snapshot();
  clone.paint_run(0, 10, 1);  // as the original
  clone.paint_run(10, 10, 3);
  original.arena().adopt(version);
  EXPECT_TRUE(shows(original.arena(), then));
  EXPECT_TRUE(clone.is_right());
  original.arena().adopt(clone.arena().snapshot());
  EXPECT_TRUE(shows(original.arena(), clone.picture()));
}

TEST_P(Adopt, takes_back_what_the_arena_itself_wrote_since) {
  Painted original(make_arena(64));
  original.paint_run(0, 40, 1);
  Arena clone = original.arena().clone();
  const Picture then = original.picture();
  original.paint_run(5, 20, 7);
  original.paint(60, 8);
  original.arena().adopt(clone.snapshot());
  EXPECT_TRUE(shows(original.arena(), then));
}

TEST_P(Adopt, works_between_all_relatives_whoever_is_gone) {
  Painted root(make_arena(32));
  root.paint_run(0, 20, 1);
  Painted child(root.arena().clone(), root.picture());
  child.paint_run(4, 4, 2);
  Painted grandchild(child.arena().clone(), child.picture());
  grandchild.paint_run(8, 4, 3);
  Painted cousin(root.arena().clone(), root.picture());
  cousin.paint_run(6, 10, 4);
  const Snapshot grandchilds = grandchild.arena().snapshot();
  const Picture then = grandchild.picture();
  { const Arena gone = std::move(grandchild.arena()); }
  { const Arena gone = std::move(child.arena()); }
  for (Painted* const taker : {&cousin, &root}) {
    const Snapshot before = taker->arena().snapshot();
    taker->arena().adopt(grandchilds);
    EXPECT_TRUE(shows(taker->arena(), then));
    EXPECT_TRUE(shows(before, taker->picture()));
    EXPECT_TRUE(shows(grandchilds, then));
    taker->arena().rollback(before);
    EXPECT_TRUE(taker->is_right());
  }
}

TEST_P(Adopt, of_a_version_of_its_own_is_a_rollback) {
  Painted painted(make_arena(32));
  painted.paint_run(0, 20, 1);
  const Snapshot before = painted.arena().snapshot();
  const Picture then = painted.picture();
  painted.paint_run(3, 9, 2);
  const Snapshot after = painted.arena().snapshot();
  painted.arena().adopt(before);
  EXPECT_TRUE(shows(painted.arena(), then));
  painted.arena().adopt(after);
  EXPECT_TRUE(painted.is_right());
}

TEST_P(Adopt, copies_no_page_that_is_equal) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena original = make_arena(256);
  fill_run(original, 0, 256, 1);
  const Snapshot before = original.snapshot();
  Arena clone = before.clone();
  fill_run(clone, 0, 256, 1);  // written, and the same
  fill(clone, 100, 2);
  const std::uint64_t copied = original.stats().bytes_copied;
  original.adopt(clone.snapshot());
  EXPECT_EQ(original.stats().bytes_copied - copied, page_size());
  EXPECT_EQ(mark_of(original, 100), 2U);
}

TEST_P(Adopt, goes_on_while_the_clone_is_written) {
  Painted original(make_arena(32));
  original.paint_run(0, 32, 1);
  Painted clone(original.arena().clone(), original.picture());
  clone.paint_run(0, 16, 2);
  const Snapshot kept = clone.arena().snapshot();
  const Picture then = clone.picture();
  clone.paint_run(8, 16, 3);
  original.arena().adopt(kept);
  EXPECT_TRUE(shows(original.arena(), then));
  clone.paint_run(0, 32, 4);
  EXPECT_TRUE(shows(original.arena(), then));
  EXPECT_TRUE(shows(kept, then));
}

TEST_P(Adopt, takes_what_the_version_shows_while_another_thread_writes_the_clone) {
  constexpr std::size_t pages = 400;
  Painted original(make_arena(pages));
  original.paint_run(0, pages, 1);
  for (std::uint64_t round = 2; round < 40; ++round) {
    Arena clone = original.arena().clone();
    fill_run(clone, 0, pages, round);
    const Snapshot theirs = clone.snapshot();
    std::atomic<bool> begun{false};
    std::thread writer([&] {
      for (std::size_t page = pages; page-- != 0; begun = true) fill(clone, page, 1'000 + round);
    });
    while (!begun) std::this_thread::yield();
    original.arena().adopt(theirs);
    writer.join();
    ASSERT_TRUE(shows(original.arena(), Picture(pages, round))) << round;
    ASSERT_TRUE(shows(theirs, Picture(pages, round))) << round;
  }
}

TEST_P(Adopt, sees_what_was_written_since_the_last_snapshot_of_its_own) {
  Painted painted(make_arena(32));
  painted.paint_run(0, 20, 1);
  const Snapshot before = painted.arena().snapshot();
  const Picture then = painted.picture();
  painted.paint_run(10, 15, 2);  // some of them for the first time
  painted.arena().discard(page_at(painted.arena(), 5), page_size());
  painted.arena().adopt(before);
  EXPECT_TRUE(shows(painted.arena(), then));
  painted.set_picture(then);
  const Snapshot after = painted.arena().snapshot();
  painted.paint(3, 7);
  EXPECT_TRUE(shows(before, then));
  EXPECT_TRUE(shows(after, then));
}

TEST_P(Adopt, of_the_same_pages_again_and_again_keeps_every_version) {
  Painted original(make_arena(32));
  original.paint_run(0, 32, 1);
  std::vector<Snapshot> versions;
  std::vector<Picture> pictures;
  for (std::uint64_t round = 2; round < 12; ++round) {
    versions.push_back(original.arena().snapshot());
    pictures.push_back(original.picture());
    Painted clone(versions.back().clone(), original.picture());
    clone.paint_run(round % 5, 9, round);
    clone.paint(20 + round % 3, round);
    original.arena().adopt(clone.arena().snapshot());
    original.set_picture(clone.picture());
    original.paint(30, round);
    ASSERT_TRUE(original.is_right()) << round;
    for (std::size_t i = 0; i < versions.size(); ++i) ASSERT_TRUE(shows(versions[i], pictures[i])) << round << ' ' << i;
  }
  for (std::size_t i = versions.size(); i-- != 0;) {
    original.arena().rollback(versions[i]);
    ASSERT_TRUE(shows(original.arena(), pictures[i])) << i;
  }
}

TEST_P(Adopt, brings_heaps_along) {
  Arena original = make_arena(4096);
  Heap heap(original);
  int* const first = heap.create<int>(1);
  heap.set_root(first);
  Arena clone = original.clone();
  Heap theirs(clone);
  *theirs.root<int>() = 2;
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; ++i) blocks.push_back(theirs.allocate(100));
  original.adopt(clone.snapshot());
  EXPECT_EQ(*heap.root<int>(), 2);
  EXPECT_TRUE(heap.check().ok());
  EXPECT_EQ(heap.stats().live_blocks, theirs.stats().live_blocks);
  for (void* const block : blocks) heap.deallocate(original.data() + (static_cast<std::byte*>(block) - clone.data()));
  heap.destroy(first);
  EXPECT_EQ(heap.stats().live_blocks, 0U);
  EXPECT_TRUE(heap.check().ok());
}

TEST_P(Adopt, that_the_kernel_refuses_has_changed_nothing) {
  for (std::int64_t nth = 1;; ++nth) {
    Family family(make_arena(Family::pages));
    const Snapshot theirs = family.clone->arena().snapshot();
    const std::int64_t before = os::calls_made();
    bool refused = false;
    os::fail_after(nth);
    try {
      family.painted.arena().adopt(theirs);
    } catch (const std::system_error& error) {
      refused = true;
      EXPECT_TRUE(names_a_size(error.what())) << error.what();
    }
    os::fail_after(0);
    if (!refused) family.painted.set_picture(family.clone->picture());
    family.expect_intact();
    EXPECT_TRUE(shows(theirs, family.clone->picture()));
    family.expect_to_go_on();
    if (HasFailure() || os::calls_made() - before < nth) break;
  }
}

TEST_P(Adopt, refuses_strangers_and_nothing) {
  Painted painted(make_arena(16));
  painted.paint_run(0, 8, 1);
  Arena other = make_arena(16);
  const Snapshot foreign = other.snapshot();
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { painted.arena().adopt(foreign); }));
  EXPECT_TRUE(throws_exactly<std::logic_error>([&] { painted.arena().adopt(Snapshot()); }));
  EXPECT_TRUE(painted.is_right());
}

}  // namespace
}  // namespace cow::test

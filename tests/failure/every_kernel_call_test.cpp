// Promise: whichever kernel call fails in an operation, that throws std::system_error or std::bad_alloc, all content
// is as before, nothing leaks, and the operation succeeds when it is tried again.
#include <cerrno>
#include <cstdint>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/family.hpp"
#include "support/known_writes.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

using Operation = std::function<void(Family&)>;

struct Outcome {
  bool failed = false;
  bool injected = false;  // whether there were enough kernel calls for one to fail
};

/// Runs the operation so that its nth kernel call fails.
Outcome run_failing(const Operation& operation, Family& family, std::int64_t nth) {
  Outcome outcome;
  const std::int64_t before = os::calls_made();
  os::fail_after(nth);
  try {
    operation(family);
  } catch (const std::system_error& error) {
    outcome.failed = true;
    EXPECT_EQ(error.code().value(), ENOMEM) << error.what();
    EXPECT_GT(std::string(error.what()).size(), 20U) << "says too little: " << error.what();
  } catch (const std::bad_alloc&) {
    outcome.failed = true;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "call " << nth << " failing threw something else: " << error.what();
    outcome.failed = true;
  }
  os::fail_after(0);
  outcome.injected = os::calls_made() - before >= nth;
  return outcome;
}

struct Footprint {
  std::size_t mappings, descriptors;
  std::uint64_t file_frames, history_frames;
};

constexpr std::size_t mappings_of_others = 4;

Footprint footprint_of(Family& family) {
  const ArenaStats stats = family.painted.arena().stats();
  return {mapping_count(), descriptor_count(), stats.file_frames_used, stats.history_frames_used};
}

class EveryKernelCall : public BarrierTest {
 protected:
  Family make_family() const { return Family(make_arena(Family::pages)); }

  // What fails once may leave something for the next try, but what fails again and again must not pile up.
  void expect_no_leak(const Operation& operation, Family& family, std::int64_t nth) {
    Footprint early{};
    for (int round = 0; round < 12; ++round) {
      if (!run_failing(operation, family, nth).failed) return;
      if (round == 1) early = footprint_of(family);
    }
    const Footprint late = footprint_of(family);
    EXPECT_LE(late.mappings, early.mappings + mappings_of_others) << "call " << nth;
    EXPECT_EQ(late.descriptors, early.descriptors) << "call " << nth;
    EXPECT_EQ(late.file_frames, early.file_frames) << "call " << nth;
    EXPECT_EQ(late.history_frames, early.history_frames) << "call " << nth;
  }

  /// Raises n until the operation needs fewer calls; returns how often it failed.
  int fail_each_call(const Operation& operation) {
    int failures = 0;
    for (std::int64_t nth = 1; nth < 500; ++nth) {
      Family family = make_family();
      const Outcome outcome = run_failing(operation, family, nth);
      family.expect_intact();
      if (outcome.failed) {
        ++failures;
        EXPECT_TRUE(outcome.injected) << "failed by itself";
        expect_no_leak(operation, family, nth);
        family.expect_intact();
        EXPECT_NO_THROW(operation(family)) << "after call " << nth << " had failed";
        family.expect_intact();
      }
      family.expect_to_go_on();
      if (HasFailure()) {
        ADD_FAILURE() << "when call " << nth << " fails";
        return failures;
      }
      if (!outcome.injected) return failures;
    }
    ADD_FAILURE() << "the operation never completes";
    return failures;
  }

  void expect_clean_failures(const Operation& operation) { EXPECT_GT(fail_each_call(operation), 0); }
  /// For operations that have another way for each call that fails once.
  void expect_no_harm(const Operation& operation) { (void)fail_each_call(operation); }
};
COW_FOR_EVERY_BARRIER(EveryKernelCall);

TEST_P(EveryKernelCall, of_making_an_arena) {
  expect_clean_failures([this](Family&) { const Arena another = make_arena(64); });
}

TEST_P(EveryKernelCall, of_a_snapshot) {
  expect_clean_failures([](Family& family) {
    const Snapshot snapshot = family.painted.arena().snapshot();
    EXPECT_TRUE(shows(snapshot, family.painted.picture()));
  });
}

TEST_P(EveryKernelCall, of_a_snapshot_of_a_clone) {
  expect_clean_failures([](Family& family) {
    const Snapshot snapshot = family.clone->arena().snapshot();
    EXPECT_TRUE(shows(snapshot, family.clone->picture()));
  });
}

TEST_P(EveryKernelCall, of_cloning_an_arena) {
  expect_clean_failures([](Family& family) {
    const Arena clone = family.painted.arena().clone();
    EXPECT_TRUE(shows(clone, family.painted.picture()));
  });
}

TEST_P(EveryKernelCall, of_cloning_a_clone) {
  expect_clean_failures([](Family& family) {
    const Arena clone = family.clone->arena().clone();
    EXPECT_TRUE(shows(clone, family.clone->picture()));
  });
}

TEST_P(EveryKernelCall, of_cloning_an_old_snapshot) {
  expect_clean_failures([](Family& family) {
    const Arena clone = family.first.clone();
    EXPECT_TRUE(shows(clone, Family::first_picture()));
  });
}

TEST_P(EveryKernelCall, of_replacing_an_arena_by_its_clone) {
  expect_clean_failures([](Family& family) { family.clone->arena() = family.clone->arena().clone(); });
}

TEST_P(EveryKernelCall, of_opening_a_view) {
  expect_clean_failures([](Family& family) {
    const View view = family.first.view();
    EXPECT_TRUE(shows(view, Family::first_picture()));
  });
}

TEST_P(EveryKernelCall, of_opening_a_view_of_the_newest_content) {
  expect_clean_failures([](Family& family) {
    const View view = family.painted.arena().snapshot().view();
    EXPECT_TRUE(shows(view, family.painted.picture()));
  });
}

TEST_P(EveryKernelCall, of_rolling_back_to_the_oldest) {
  expect_no_harm([](Family& family) {
    family.painted.arena().rollback(family.first);
    family.painted.set_picture(Family::first_picture());
  });
}

TEST_P(EveryKernelCall, of_rolling_back_to_the_newest) {
  expect_clean_failures([](Family& family) {
    (void)family.painted.arena().snapshot();  // whatever can be rolled back is protected
    family.painted.arena().rollback(family.second);
    family.painted.set_picture(family.second_picture);
  });
}

TEST_P(EveryKernelCall, of_rolling_a_clone_back_to_its_base) {
  expect_clean_failures([](Family& family) {
    (void)family.clone->arena().snapshot();
    family.clone->arena().rollback(family.second);
    family.clone->set_picture(family.second_picture);
  });
}

TEST_P(EveryKernelCall, of_preparing_everything_for_writing) {
  expect_no_harm([](Family& family) {
    Arena& arena = family.painted.arena();
    arena.prepare_write(arena.data(), arena.capacity());
  });
}

TEST_P(EveryKernelCall, of_preparing_what_a_clone_has_borrowed) {
  expect_no_harm([](Family& family) {
    Arena& arena = family.clone->arena();
    arena.prepare_write(arena.data(), arena.capacity());
  });
}

TEST_P(EveryKernelCall, of_discarding_everything) {
  expect_no_harm([](Family& family) {
    Arena& arena = family.painted.arena();
    arena.discard(arena.data(), arena.capacity());
    family.painted.set_picture(Picture(Family::pages, 0));
  });
}

TEST_P(EveryKernelCall, of_discarding_in_a_clone) {
  expect_no_harm([](Family& family) {
    Arena& arena = family.clone->arena();
    arena.discard(page_at(arena, 4), 8 * page_size());
    Picture picture = family.clone->picture();
    for (std::size_t page = 4; page < 12; ++page) picture[page] = 0;
    family.clone->set_picture(picture);
  });
}

TEST_P(EveryKernelCall, of_questions) {
  expect_no_harm([](Family& family) {
    (void)family.painted.arena().changed_since(family.first);
    (void)family.painted.arena().stats();
    Bytes out(family.first.capacity());
    family.first.read(0, out);
    family.second.read(0, out);
  });
}

// Pages of every kind: shown by the view, moved away from it already, and opened by a block but never written.
constexpr std::size_t written_pages[] = {2, 5, 8, 10, 28};

/// All of them in one batch; whole in the pages' picture only once it has succeeded.
void write_batch(Painted& painted, std::uint64_t value) {
  const auto content = page_of(value);
  Picture picture = painted.picture();
  std::vector<Write> batch;
  for (const std::size_t page : written_pages) {
    batch.push_back({page_at(painted.arena(), page), content.data(), page_size()});
    picture[page] = value;
  }
  painted.arena().write(batch);
  painted.set_picture(picture);
}

TEST_P(EveryKernelCall, of_writing_one_page) {
  for (const std::size_t page : written_pages) {
    expect_no_harm([page](Family& family) { write_page(family.painted, page, 8); });
    expect_no_harm([page](Family& family) { write_page(*family.clone, page, 8); });
  }
}

TEST_P(EveryKernelCall, of_writing_a_batch) {
  expect_no_harm([](Family& family) { write_batch(family.painted, 8); });
}

TEST_P(EveryKernelCall, of_writing_a_batch_to_a_clone) {
  expect_no_harm([](Family& family) { write_batch(*family.clone, 8); });
}

// The memory of pages never written is asked for before anything is stored: a refusal leaves the whole batch undone.
TEST_P(EveryKernelCall, of_writing_to_memory_that_is_not_there_yet_leaves_all_undone) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  int failures = 0;
  for (std::int64_t nth = 1; nth < 40; ++nth) {
    Painted painted(make_arena(64));
    painted.paint_run(0, 16, 1);
    const Picture before = painted.picture();
    const Snapshot snapshot = painted.arena().snapshot();
    const auto content = page_of(8);
    const std::size_t written[] = {3, 40, 4, 60};
    std::vector<Write> batch;
    for (const std::size_t page : written)
      batch.push_back({page_at(painted.arena(), page), content.data(), page_size()});
    os::fail_after(nth);
    try {
      painted.arena().write(batch);
      Picture picture = before;
      for (const std::size_t page : written) picture[page] = 8;
      painted.set_picture(picture);
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code().value(), ENOMEM) << error.what();
      ++failures;
    }
    os::fail_after(0);
    EXPECT_TRUE(painted.is_right()) << "call " << nth;
    EXPECT_TRUE(shows(snapshot, before)) << "call " << nth;
  }
  EXPECT_GE(failures, 2);
}

// The first calls of the first write() map the frames a second time. Without that the page is made writable.
TEST_P(EveryKernelCall, of_mapping_the_frames_for_writing_is_done_without) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  for (const std::int64_t nth : {1, 2}) {
    Painted painted(make_arena(64));
    painted.paint_run(0, 16, 1);
    const Snapshot snapshot = painted.arena().snapshot();
    const auto writable = [&](std::size_t page) {
      return painted.arena().ref().is_writable(page_at(painted.arena(), page));
    };
    os::fail_after(nth);
    EXPECT_NO_THROW(write_page(painted, 40, 8));
    os::fail_after(0);
    EXPECT_TRUE(writable(40));
    EXPECT_TRUE(painted.is_right());
    EXPECT_NO_THROW(write_page(painted, 60, 9));
    EXPECT_FALSE(writable(60));
    EXPECT_NO_THROW(write_batch(painted, 10));
    EXPECT_TRUE(painted.is_right());
    EXPECT_EQ(mark_of(snapshot, 5), 1U);
  }
}

// The kernel is asked for the memory of a page never written, and may say no; a store would have to end in a signal.
TEST_P(EveryKernelCall, of_giving_memory_to_a_first_touch_is_an_exception) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Painted painted(make_arena(64));
  painted.paint_run(0, 16, 1);
  write_page(painted, 5, 2);  // what write() needs for itself is there now
  os::fail_after(1);
  EXPECT_TRUE(throws_exactly<std::system_error>([&] { write_page(painted, 40, 8); }));
  os::fail_after(0);
  EXPECT_TRUE(painted.is_right());
  write_page(painted, 40, 8);
  EXPECT_TRUE(painted.is_right());
}

// What ends cannot fail: it does without, or does it later. Nobody else may notice.
TEST_P(EveryKernelCall, of_dropping_things_is_survived) {
  std::int64_t calls = 1;
  for (std::int64_t nth = 1; nth <= calls; ++nth) {
    Family family = make_family();
    {
      Snapshot newest = family.painted.arena().snapshot();
      View view = newest.view();
      Snapshot of_clone = family.clone->arena().snapshot();
      std::vector<Arena> clones;
      clones.push_back(family.second.clone());
      clones.push_back(clones[0].clone());
      fill_run(clones[0], 3, 20, 9);
      family.painted.paint_run(0, 20, 8);
      const std::int64_t before = os::calls_made();
      os::fail_after(nth);
      newest = Snapshot();
      clones.erase(clones.begin());
      view = View();
      of_clone = Snapshot();
      clones.clear();
      os::fail_after(0);
      calls = os::calls_made() - before;
    }
    family.expect_intact();
    family.expect_to_go_on();
    ASSERT_FALSE(HasFailure()) << "when call " << nth << " fails";
  }
  EXPECT_GT(calls, 1);
}

// The last of a family goes, and a kernel call fails on the way: the process has everything back all the same.
TEST_P(EveryKernelCall, of_dropping_a_whole_family_leaves_no_descriptor) {
  const std::size_t descriptors = descriptor_count();
  for (std::int64_t nth = 1; nth < 60; ++nth) {
    std::optional<Family> family(make_family());
    os::fail_after(nth);
    family.reset();
    os::fail_after(0);
    ASSERT_EQ(descriptor_count(), descriptors) << "when call " << nth << " fails";
  }
}

}  // namespace
}  // namespace cow::test

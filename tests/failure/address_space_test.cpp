// Promise: at the limits of the address space (RLIMIT_AS) and of private memory (RLIMIT_DATA, which counts what strict
// overcommit does) operations that need more throw std::system_error or std::bad_alloc and change nothing, and faults
// need none with a reserve.
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <string>
#include <system_error>
#include <tuple>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/family.hpp"
#include "support/known_writes.hpp"
#include "support/limits.hpp"
#include "support/pages.hpp"
#include "support/process.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

enum class Kind {
  address_space,
  private_memory
};

/// What the process has now, and a little for the C++ library.
class NoMoreOf {
 public:
  explicit NoMoreOf(Kind kind, std::size_t more = 0)
      : limit_(kind == Kind::address_space ? RLIMIT_AS : RLIMIT_DATA,
               proc_bytes("/proc/self/status", kind == Kind::address_space ? "VmSize" : "VmData") + more) {}

 private:
  LoweredLimit limit_;
};

enum class Outcome {
  succeeded,
  refused
};

Outcome outcome_of(const std::function<void()>& call) {
  try {
    call();
    return Outcome::succeeded;
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), ENOMEM) << error.what();
    EXPECT_TRUE(names_a_size(error.what())) << error.what();
    return Outcome::refused;
  } catch (const std::bad_alloc&) {
    return Outcome::refused;
  }
}

class AtTheLimit : public testing::TestWithParam<std::tuple<Kind, Barrier>> {
 protected:
  void SetUp() override {
    if (under_sanitizer) GTEST_SKIP() << "the sanitizer's run-time needs memory too";
    if (!is_available(barrier())) GTEST_SKIP() << "this barrier is not available here";
  }
  static Kind kind() { return std::get<0>(GetParam()); }
  static Barrier barrier() { return std::get<1>(GetParam()); }

  /// Refused, again and again, with nothing left behind; and successful afterwards.
  static void expect_clean_refusals(Family& family, const std::function<void()>& call) {
    const std::size_t descriptors = descriptor_count(), mapped = mapping_count();
    for (int again = 0; again < 4; ++again) {
      Outcome outcome = Outcome::succeeded;
      {
        const NoMoreOf limit(kind());
        outcome = outcome_of(call);
      }
      EXPECT_EQ(outcome, Outcome::refused);
    }
    EXPECT_EQ(descriptor_count(), descriptors);
    EXPECT_LE(mapping_count(), mapped + 4);
    family.expect_intact();
    EXPECT_NO_THROW(call());
    family.expect_to_go_on();
  }
};

INSTANTIATE_TEST_SUITE_P(Limits, AtTheLimit,
                         testing::Combine(testing::Values(Kind::address_space, Kind::private_memory),
                                          testing::ValuesIn(every_barrier())),
                         [](const auto& which) {
                           const bool addresses = std::get<0>(which.param) == Kind::address_space;
                           return (addresses ? "of_addresses_" : "of_private_memory_") +
                                  std::string(name_of(std::get<1>(which.param)));
                         });

TEST_P(AtTheLimit, making_an_arena_throws) {
  Family family(Arena(options_for(barrier(), Family::pages)));
  expect_clean_refusals(family, [] { const Arena another(options_for(barrier(), 4096)); });
}

TEST_P(AtTheLimit, cloning_throws) {
  Family family(Arena(options_for(barrier(), Family::pages)));
  expect_clean_refusals(family, [&] { EXPECT_TRUE(shows(family.second.clone(), family.second_picture)); });
}

TEST_P(AtTheLimit, opening_a_view_throws) {
  Family family(Arena(options_for(barrier(), Family::pages)));
  expect_clean_refusals(family, [&] { EXPECT_TRUE(shows(family.first.view(), Family::first_picture())); });
}

void prepare_all(Arena& arena) { arena.prepare_write(arena.data(), arena.capacity()); }

TEST_P(AtTheLimit, everything_else_succeeds_or_throws_and_changes_nothing) {
  const auto keep_trying = [](Family& family, const std::function<void(Family&)>& call) {
    {
      const NoMoreOf limit(kind());
      (void)outcome_of([&] { call(family); });
    }
    family.expect_intact();
    EXPECT_NO_THROW(call(family));
    family.expect_intact();
    family.expect_to_go_on();
  };
  const std::function<void(Family&)> calls[] = {
      [](Family& family) { (void)family.painted.arena().snapshot(); },
      [](Family& family) { (void)family.painted.arena().changed_since(family.first); },
      [](Family& family) { prepare_all(family.painted.arena()); },
      [](Family& family) { prepare_all(family.clone->arena()); },
      [](Family& family) { write_page(family.painted, 5, 8); },
      [](Family& family) { write_page(family.painted, 28, 8); },
      [](Family& family) { write_page(*family.clone, 20, 8); },
      [](Family& family) {
        family.painted.arena().rollback(family.first);
        family.painted.set_picture(Family::first_picture());
      },
      [](Family& family) {
        family.clone->arena().rollback(family.second);
        family.clone->set_picture(family.second_picture);
      },
      [](Family& family) {
        family.painted.arena().discard(family.painted.arena().data(), family.painted.arena().capacity());
        family.painted.set_picture(Picture(Family::pages, 0));
      },
  };
  for (const auto& call : calls) {
    Family family(Arena(options_for(barrier(), Family::pages)));
    keep_trying(family, call);
  }
}

class AtTheLimitOfPrivateMemory : public BarrierTest {};
COW_FOR_EVERY_BARRIER(AtTheLimitOfPrivateMemory);

// Where what is scattered would be copied into private memory, it is mapped as it lies.
TEST_P(AtTheLimitOfPrivateMemory, a_view_of_scattered_pages_goes_without) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer's run-time needs memory too";
  constexpr std::size_t pages = 4096;
  Painted painted(make_arena(pages));
  painted.paint_run(0, pages, 1);
  const Snapshot snapshot = painted.arena().snapshot();
  const Picture before = painted.picture();
  for (std::size_t page = 0; page < pages; page += 73) painted.paint(page, 2);
  const View with = snapshot.view();
  const NoMoreOf limit(Kind::private_memory, 512 * 1024);
  const View without = snapshot.view();
  EXPECT_GT(mappings_of(without.data(), without.size()).size(), mappings_of(with.data(), with.size()).size());
  EXPECT_TRUE(shows(with, before));
  EXPECT_TRUE(shows(without, before));
}

// Its copy of the arena is private memory of the whole capacity.
TEST_P(AtTheLimitOfPrivateMemory, a_child_of_fork_is_shut_out_and_its_parent_goes_on) {
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer's run-time needs memory too";
  Family family(make_arena(Family::pages));
  Arena large = make_arena(1 << 16);
  put_mark(large, 5, 1);
  ChildResult result;
  {
    const NoMoreOf limit(Kind::private_memory);
    result = run_forked([&] {
      ::signal(SIGSEGV, SIG_DFL);
      ::signal(SIGBUS, SIG_DFL);
      return static_cast<int>(mark_of(large, 5));
    });
  }
  EXPECT_TRUE(result.died_by(SIGSEGV)) << result.how();
  EXPECT_EQ(mark_of(large, 5), 1U);
  family.expect_intact();
  family.expect_to_go_on();
}

class AtTheLimitOfAddresses : public BarrierTest {};
COW_FOR_EVERY_BARRIER(AtTheLimitOfAddresses);

// There is no room to map the frames a second time: the pages are made writable.
TEST_P(AtTheLimitOfAddresses, write_does_without_a_mapping_of_its_own) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  if (under_sanitizer) GTEST_SKIP() << "the sanitizer's run-time needs memory too";
  constexpr std::size_t pages = 1 << 16;
  Arena arena = make_arena(pages);
  fill_run(arena, 0, 64, 1);
  const Snapshot snapshot = arena.snapshot();
  {
    const NoMoreOf limit(Kind::address_space, 8192 * page_size());
    for (std::size_t page = 32; page < 96; ++page) ASSERT_NO_THROW(write_page(arena, page, 2));
  }
  EXPECT_GE(arena.stats().pages_writable, 64U);
  for (std::size_t page = 0; page < 128; ++page) {
    ASSERT_TRUE(filled(page_at(arena, page), page < 32 ? 1 : page < 96 ? 2 : 0));
    ASSERT_EQ(mark_of(snapshot, page), page < 64 ? 1U : 0U);
  }
  const Snapshot newer = arena.snapshot();
  write_page(arena, 40, 3);
  EXPECT_EQ(arena.stats().pages_writable, 0U);  // there is room again
  EXPECT_TRUE(filled(page_at(arena, 40), 3));
  EXPECT_TRUE(filled(page_at(arena, 41), 2));
}

constexpr std::size_t many = 1024;

/// Two snapshots, then all pages at the limit: far apart from each other, each is a fault of its own.
int write_at_the_limit(Kind kind, Barrier barrier, std::size_t reserved_pages) {
  ::signal(SIGSEGV, SIG_DFL);
  ::signal(SIGBUS, SIG_DFL);
  ArenaOptions options = options_for(barrier, many);
  options.reserve_history_bytes = reserved_pages * page_size();
  Arena arena(options);
  Snapshot snapshots[2];
  for (std::uint64_t round = 0; round < 2; ++round) {
    fill_run(arena, 0, many, round + 1);
    snapshots[round] = arena.snapshot();
  }
  {
    const NoMoreOf limit(kind);
    for (std::size_t i = 0; i < many; ++i) put_mark(arena, i * 389 % many, 77);
  }
  for (std::size_t page = 0; page < many; ++page) {
    CHECK_IN_CHILD(mark_of(arena, page) == 77 && mark_of(snapshots[1], page) == 2 && mark_of(snapshots[0], page) == 1);
  }
  return 0;
}

/// "kind barrier", as numbers.
int write_as_told(const std::string& argument, std::size_t reserved_pages) {
  const Kind kind = argument.at(0) == '0' ? Kind::address_space : Kind::private_memory;
  return write_at_the_limit(kind, argument.at(2) == '0' ? Barrier::mprotect : Barrier::userfaultfd, reserved_pages);
}
COW_CHILD_BODY(write_from_the_reserve_at_the_limit) { return write_as_told(argument, many); }
COW_CHILD_BODY(write_without_a_reserve_at_the_limit) { return write_as_told(argument, 0); }

TEST_P(AtTheLimit, faults_are_served_from_the_reserve_and_without_one_are_told_in_one_line) {
  const std::string of = kind() == Kind::address_space ? "0" : "1";
  const std::string which = of + (barrier() == Barrier::mprotect ? " 0" : " 1");
  const ChildResult with = run_child("write_from_the_reserve_at_the_limit", which);
  EXPECT_TRUE(with.exited_with(0)) << with.how();
  const ChildResult without = run_child("write_without_a_reserve_at_the_limit", which);
  EXPECT_TRUE(without.died_by(SIGSEGV) || without.died_by(SIGBUS)) << without.how();
  EXPECT_NE(without.error_text.find("no memory for the duplicate"), std::string::npos) << without.how();
  EXPECT_EQ(without.error_text.find('\n'), without.error_text.size() - 1) << "one line: " << without.how();
}

}  // namespace
}  // namespace cow::test

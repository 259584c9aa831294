// Promise: what a CutHook keeps whole is whole in each snapshot, also in one that was begun before the arena had the
// hook. A fork() under way makes the snapshot and the hook wait, and lets both go on in the same moment.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "kernel/fork_gate.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

using namespace std::chrono_literals;

class Keeper final : public CutHook {
 public:
  void before_cut() override { lock.lock(); }
  void after_cut() noexcept override { lock.unlock(); }
  void in_fork_child() noexcept override {}
  std::mutex lock;
};

class HookMeanwhile : public testing::TestWithParam<Barrier> {};

/// Two pages that are the same whenever nobody holds the hook's lock.
void write_both(Arena& arena) {
  const auto hook = std::static_pointer_cast<Keeper>(arena.ref().cut_hook([] { return std::make_shared<Keeper>(); }));
  const std::lock_guard guard(hook->lock);
  put_mark(arena, 0, 1);
  std::this_thread::sleep_for(2ms);
  put_mark(arena, 1, 1);
}

TEST_P(HookMeanwhile, what_it_keeps_whole_is_whole_in_a_snapshot_that_was_begun_before) {
  if (!is_available(GetParam())) GTEST_SKIP() << "this barrier is not available here";
  for (int i = 0; i < 40; ++i) {
    Arena arena(options_for(GetParam(), 4));
    Snapshot taken;
    const std::uint32_t turn = fork_gate::shut();
    {
      const std::jthread cuts([&] { taken = arena.snapshot(); });
      std::this_thread::sleep_for(2ms);
      const std::jthread writes([&] { write_both(arena); });
      std::this_thread::sleep_for(2ms);
      fork_gate::open(turn);
    }
    ASSERT_EQ(mark_of(taken, 0), mark_of(taken, 1)) << "it was cut in half";
  }
}

INSTANTIATE_TEST_SUITE_P(Each, HookMeanwhile, testing::ValuesIn(every_barrier()),
                         [](const auto& of) { return name_of(of.param); });

}  // namespace
}  // namespace cow::test

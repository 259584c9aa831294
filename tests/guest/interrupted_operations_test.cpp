// Promise: an asynchronous signal's handler may store to an arena whatever operation it comes into, diagnostics
// included: no lock that its fault wants is held with such signals open.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <sys/time.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "guest/barrier_argument.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 2048;
std::byte* stored_to = nullptr;
std::atomic<std::size_t> stores{0};

void store_somewhere(int) {
  const std::size_t page = stores.fetch_add(1, std::memory_order_relaxed) * 37 % pages;
  stored_to[page * page_size() + 8] = std::byte{7};
}

void begin_storing(Arena& arena) {
  stored_to = arena.data();
  struct sigaction action {};
  action.sa_handler = store_somewhere;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGALRM, &action, nullptr);
  const itimerval often = {{0, 50}, {0, 50}};
  ::setitimer(ITIMER_REAL, &often, nullptr);
}

/// What is done again and again while stores come in between.
const std::function<void(Arena&, const Snapshot&)> operations[] = {
    [](Arena& arena, const Snapshot&) { (void)arena.snapshot(); },
    [](Arena& arena, const Snapshot&) { (void)arena.clone(); },
    [](Arena& arena, const Snapshot&) { (void)map_pages(arena); },
    [](Arena& arena, const Snapshot&) { (void)account_memory(arena); },
    [](Arena& arena, const Snapshot&) { (void)arena.dump(); },
    [](Arena&, const Snapshot& before) { (void)before.exclusive_bytes(); },
    [](Arena&, const Snapshot& before) { (void)before.view(); },
    [](Arena& arena, const Snapshot& before) { (void)arena.changed_since(before); },
    [](Arena& arena, const Snapshot&) { (void)arena.stats(); },
    [](Arena& arena, const Snapshot&) {
      (void)arena.ref().cut_hook([] {
        std::atomic<int> waited{0};
        while (waited.fetch_add(1) < 2000) {
        }
        return std::shared_ptr<CutHook>();
      });
    },
};

COW_CHILD_BODY(stores_come_in_between) {
  Arena arena = arena_under(argument, pages);
  fill_run(arena, 0, pages, 1);
  const Snapshot before = arena.snapshot();
  const Arena clone = before.clone();
  fill_run(arena, 0, pages / 2, 2);
  std::optional<Arena> gone(arena.clone());
  const Snapshot of_the_gone = gone->snapshot();  // a clone that is known by its loans alone
  fill_run(*gone, 0, 16, 3);
  gone.reset();
  begin_storing(arena);
  for (const auto& operation : operations) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
    while (std::chrono::steady_clock::now() < until) operation(arena, before);
  }
  const itimerval never = {};
  ::setitimer(ITIMER_REAL, &never, nullptr);
  CHECK_IN_CHILD(shows(clone, Picture(pages, 1)));
  CHECK_IN_CHILD(stores.load() > 100);
  return 0;
}

class InterruptedOperations : public GuestTest {};
COW_FOR_EVERY_BARRIER(InterruptedOperations);

TEST_P(InterruptedOperations, let_the_handlers_stores_through) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers call handlers in their own way";
  EXPECT_BODY_PASSES("stores_come_in_between");
}

}  // namespace
}  // namespace cow::test

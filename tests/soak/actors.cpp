// What each thread of the soak does. See actors.hpp.
#include "soak/actors.hpp"

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <thread>
#include <utility>

#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "soak/pattern.hpp"
#include "support/environment.hpp"

namespace cow::soak {
namespace {

constexpr std::size_t most_kept = 10;

std::size_t below(std::mt19937_64& random, std::size_t limit) { return static_cast<std::size_t>(random() % limit); }
void count(std::atomic<std::uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }
void rest(int microseconds) { std::this_thread::sleep_for(std::chrono::microseconds(microseconds)); }

}  // namespace

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "soak: %s\n", what);
  std::fflush(nullptr);
  ::_exit(1);
}

void Round::run(double seconds) {
  std::vector<std::thread> actors;
  for (std::size_t writer = 0; writer < writers; ++writer)
    actors.emplace_back([this, writer] { write_pattern(writer); });
  actors.emplace_back([this] { keep_snapshots(); });
  actors.emplace_back([this] { branch(); });
  actors.emplace_back([this] { let_the_kernel_write(); });
  // ThreadSanitizer does not follow threads into a fork().
  if (!test::under_tsan) actors.emplace_back([this] { fork_now_and_then(); });
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop_.store(true);
  for (std::thread& actor : actors) actor.join();
  kept_.clear();
}

void Round::write_pattern(std::size_t writer) {
  std::byte* const memory = arena_.data();
  std::uint64_t number = word_of(memory, page_size(), writer, pages - 1);  // the round before ended with a whole one
  while (!stop_.load(std::memory_order_relaxed)) {
    ++number;
    const bool handed_over = number % writers == writer;  // one round in three, and not all writers in the same
    for (std::size_t step = 0; step < pages; ++step) {
      if (handed_over) {
        arena_.write(&word_of(memory, page_size(), writer, step), &number, sizeof number);
      } else {
        write(memory, page_size(), writer, step, number);
      }
    }
    tally_.writes.fetch_add(pages, std::memory_order_relaxed);
  }
}

Snapshot Round::any_snapshot(std::mt19937_64& random) {
  const std::lock_guard guard(lock_);
  return kept_.empty() ? Snapshot() : kept_[below(random, kept_.size())];
}

void Round::examine(const Snapshot& snapshot, std::mt19937_64& random) {
  if (below(random, 2) == 0) {
    const View view = snapshot.view();
    require(is_one_moment(view.data(), page_size()), "a view shows no single moment");
    count(tally_.views);
  } else {
    std::vector<std::byte> copy(pages * page_size());
    snapshot.read(0, copy);
    require(is_one_moment(copy.data(), page_size()), "what was read of a snapshot is no single moment");
    count(tally_.reads);
  }
}

void Round::keep_snapshots() {
  std::mt19937_64 random(seed_ + 1);
  while (!stop_.load(std::memory_order_relaxed)) {
    Snapshot snapshot = arena_.snapshot();
    count(tally_.snapshots);
    Snapshot dropped;  // outside the lock
    {
      const std::lock_guard guard(lock_);
      kept_.push_back(std::move(snapshot));
      const std::size_t victim = below(random, kept_.size());
      std::swap(kept_[victim], kept_.back());
      if (kept_.size() > most_kept || below(random, 3) == 0) dropped = std::move(kept_.back()), kept_.pop_back();
    }
    if (const Snapshot other = any_snapshot(random)) examine(other, random);
    rest(static_cast<int>(below(random, 3000)));
  }
}

/// A clone of our own: nobody else writes it, so that it can be rolled back, and its content is known.
void Round::live_in(Arena clone, const Snapshot& base, std::mt19937_64& random, int depth) {
  require(!base || is_one_moment(clone.data(), page_size()), "a clone shows no single moment");
  count(tally_.clones);
  for (std::size_t i = 0; i < 50; ++i) write(clone.data(), page_size(), 0, below(random, pages), 1);
  const std::vector<std::byte> zeros(3 * page_size());
  clone.write(clone.data() + below(random, pages) * page_size() + 8, zeros.data(), zeros.size());
  const Snapshot middle = clone.snapshot();
  const std::uint64_t mark = random();
  for (std::size_t step = 0; step < pages; step += 1 + below(random, 9))
    write(clone.data(), page_size(), 1, step, mark);
  clone.discard(clone.data() + below(random, pages) * page_size(), 8 * page_size());
  if (depth > 0) live_in(clone.clone(), Snapshot(), random, 0);
  clone.rollback(middle);
  require(word_of(clone.data(), page_size(), 1, 0) != mark, "a rollback has left a write in place");
  count(tally_.rollbacks);
  if (base) {
    clone.rollback(base);
    require(is_one_moment(clone.data(), page_size()), "a clone rolled back to its base shows no single moment");
    count(tally_.rollbacks);
  }
}

void Round::branch() {
  std::mt19937_64 random(seed_ + 2);
  while (!stop_.load(std::memory_order_relaxed)) {
    const Snapshot base = any_snapshot(random);
    if (base) live_in(base.clone(), base, random, static_cast<int>(below(random, 2)));
    rest(static_cast<int>(below(random, 2000)));
  }
}

void Round::let_the_kernel_write() {
  std::mt19937_64 random(seed_ + 3);
  while (!stop_.load(std::memory_order_relaxed)) {
    std::byte* const at =
        arena_.data() + (pages + below(random, spare_pages)) * page_size() + below(random, page_size() / 2);
    const std::span<std::byte> buffer(at, 256);
    const ssize_t got = retry_on_efault(arena_, buffer, [&] { return ::getrandom(buffer.data(), buffer.size(), 0); });
    require(got == 256, "a system call could not write");
    count(tally_.calls);
    rest(200);
  }
}

/// The child has the memory of one moment to itself. It makes no calls but async-signal-safe ones.
void Round::fork_now_and_then() {
  std::mt19937_64 random(seed_ + 4);
  while (!stop_.load(std::memory_order_relaxed)) {
    std::byte* const memory = arena_.data();
    const pid_t child = ::fork();
    if (child == 0) {
      if (!is_one_moment(memory, page_size())) ::_exit(1);
      for (std::size_t step = 0; step < pages; ++step) write(memory, page_size(), 0, step, 5);
      for (std::size_t step = 0; step < pages; ++step) {
        if (word_of(memory, page_size(), 0, step) != 5) ::_exit(2);
      }
      ::_exit(0);
    }
    require(child > 0, "fork() failed");
    count(tally_.forks);
    int status = 0;
    require(::waitpid(child, &status, 0) == child, "waitpid() failed");
    require(status == 0, "a child did not find the memory of one moment, or not to itself");
    rest(static_cast<int>(below(random, 50000)));
  }
}

}  // namespace cow::soak

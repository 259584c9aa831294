// Promise: threads may use a heap at once, also beside snapshots: every clone's heap is whole. Replay: COW_SEED.
#include <algorithm>
#include <atomic>
#include <memory>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "heap/spin_lock.hpp"
#include "heap/thread_slot.hpp"
#include "heap_support.hpp"

namespace cow::test {
namespace {

/// Allocates, checks and frees until told to stop, its own blocks only. Blocks know their size and owner.
class Churner {
 public:
  Churner(Arena& arena, std::uint64_t seed, std::uint8_t value, std::size_t largest)
      : arena_(arena), heap_(arena), random_(seed), value_(value), largest_(largest) {}

  void run(const std::atomic<bool>& stop) {
    while (!stop.load(std::memory_order_relaxed)) step();
  }

  void step() {
    if (blocks_.size() < 500 && random_.below(5) < 3) {
      blocks_.push_back(
          allocate_block(heap_, arena_, 1 + random_.below(std::size_t{1} << random_.below(largest_)), value_));
      return;
    }
    if (blocks_.empty()) return;
    std::swap(blocks_[random_.below(blocks_.size())], blocks_.back());
    Block& block = blocks_.back();
    if (!holds(arena_, block)) damaged = true;
    if (random_.below(8) == 0) {
      heap_.deallocate(heap_.reallocate(block.in(arena_), 1 + random_.below(2 * block.bytes + 1)));
    } else {
      heap_.deallocate(block.in(arena_));
    }
    blocks_.pop_back();
  }

  void free_all() {
    for (const Block& block : blocks_) heap_.deallocate(block.in(arena_));
    blocks_.clear();
  }

  std::atomic<bool> damaged{false};

 private:
  Arena& arena_;
  Heap heap_;
  Random random_;
  std::uint8_t value_;
  std::size_t largest_;
  std::vector<Block> blocks_;
};

class Churning {
 public:
  Churning(Arena& arena, unsigned count, std::size_t largest = 15) {
    const std::uint64_t seed = seed_or(99);
    for (unsigned i = 0; i < count; ++i) {
      churners_.push_back(std::make_unique<Churner>(arena, seed + i, static_cast<std::uint8_t>(i + 1), largest));
    }
    for (const auto& churner : churners_) threads_.emplace_back([&] { churner->run(stop_); });
  }
  ~Churning() { finish(); }

  bool finish() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    bool right = true;
    for (const auto& churner : churners_) {
      right = right && !churner->damaged;
      churner->free_all();
    }
    churners_.clear();
    return right;
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::unique_ptr<Churner>> churners_;
  std::vector<std::thread> threads_;
};

TEST(Threads, allocate_and_free_at_once) {
  Arena arena = arena_of(256 * mib);
  Heap heap(arena);
  {
    Churning churning(arena, 4);
    for (int i = 0; i < 50; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      ASSERT_TRUE(is_sound(heap));
    }
    EXPECT_TRUE(churning.finish());
  }
  EXPECT_EQ(heap.stats().live_blocks, 0u);
  EXPECT_TRUE(is_sound(heap));
}

TEST(Threads, see_no_half_done_operation_in_any_clone_taken_meanwhile) {
  Arena arena = arena_of(128 * mib);
  Heap heap(arena);
  const int rounds = under_sanitizer ? 20 : 100;
  for (const unsigned threads : {2u, 4u}) {
    Churning churning(arena, threads);
    for (int round = 0; round < rounds; ++round) {
      Arena clone = arena.clone();
      Heap cloned(clone);
      ASSERT_TRUE(is_sound(cloned)) << "round " << round;
      const HeapStats before = cloned.stats();
      for (int i = 0; i < 200; ++i) (void)allocate_block(cloned, clone, static_cast<std::size_t>(i) * 31, 0xee);
      EXPECT_EQ(cloned.stats().live_blocks, before.live_blocks + 200);
      ASSERT_TRUE(is_sound(cloned)) << "round " << round;
    }
    EXPECT_TRUE(churning.finish());
  }
  EXPECT_EQ(heap.stats().live_blocks, 0u);
}

TEST(Threads, go_on_in_clones_while_the_original_is_used) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  Churning original(arena, 1);
  for (int round = 0; round < 10; ++round) {
    Arena clone = arena.clone();
    Heap cloned(clone);
    {
      Churning copies(clone, 2);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      EXPECT_TRUE(copies.finish());
    }
    EXPECT_TRUE(is_sound(cloned));
  }
  EXPECT_TRUE(original.finish());
  EXPECT_TRUE(is_sound(heap));
}

TEST(Threads, free_what_others_allocated) {
  Arena arena = arena_of(64 * mib);
  Heap heap(arena);
  constexpr std::size_t slots = 256;
  std::vector<std::atomic<void*>> exchange(slots);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Heap mine(arena);
      Random random(seed_or(5) + t);
      for (int i = 0; i < 30'000; ++i) {
        void* const block = mine.allocate(1 + random.below(600));
        *static_cast<int*>(block) = i;
        mine.deallocate(exchange[random.below(slots)].exchange(block));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::atomic<void*>& slot : exchange) heap.deallocate(slot.load());
  EXPECT_EQ(heap.stats().live_blocks, 0u);
  EXPECT_EQ(heap.stats().refused_frees, 0u);
  EXPECT_TRUE(is_sound(heap));
}

TEST(Threads, exhaust_a_small_arena_together_and_lose_nothing) {
  Arena arena = arena_of(16 * mib);
  Heap heap(arena);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Heap mine(arena);
      Random random(seed_or(31) + t);
      for (int round = 0; round < 5; ++round) {
        std::vector<void*> blocks;
        while (void* const block = mine.try_allocate(1 + random.below(20'000))) blocks.push_back(block);
        for (void* const block : blocks) mine.deallocate(block);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(heap.stats().live_blocks, 0u);
  EXPECT_TRUE(is_sound(heap));
  EXPECT_NE(heap.try_allocate(14 * mib), nullptr);
}

TEST(Threads, get_blocks_that_other_threads_freed_before_the_arena_counts_as_full) {
  Arena arena = arena_of(16 * mib);
  Heap heap(arena);
  EXPECT_NE(heap.try_allocate(100), nullptr);
  void* freed = nullptr;
  std::thread([&] {
    while (void* const block = heap.try_allocate(100)) freed = block;
    heap.deallocate(freed);
  }).join();
  bool found = false;
  while (void* const block = heap.try_allocate(100)) found = found || block == freed;
  EXPECT_TRUE(found);
}

TEST(ThreadSlots, differ_while_threads_live_and_are_used_again) {
  const unsigned mine = detail::thread_slot();
  EXPECT_EQ(detail::thread_slot(), mine);
  std::set<unsigned> seen;
  for (int i = 0; i < 100; ++i) std::thread([&] { seen.insert(detail::thread_slot()); }).join();
  EXPECT_EQ(seen.size(), 1u);
  EXPECT_FALSE(seen.contains(mine));
}

TEST(SpinLock, excludes_and_outlasts_long_holds) {
  detail::SpinLock lock;
  int counter = 0;
  lock.lock();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) {
        lock.lock();
        ++counter;
        lock.unlock();
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(counter, 0);
  lock.unlock();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter, 60'000);
}

}  // namespace
}  // namespace cow::test

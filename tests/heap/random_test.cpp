// Promise: any sequence of operations, snapshots, rollbacks and clones keeps every block and a sound heap. COW_SEED=n
// replays one, COW_RUNS=n makes more or fewer.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "heap_support.hpp"

namespace cow::test {
namespace {

/// One arena and what its blocks must hold.
struct World {
  Arena arena;
  std::vector<Block> blocks;
};

struct Saved {
  Snapshot snapshot;
  std::vector<Block> blocks;
};

class RandomWalk {
 public:
  explicit RandomWalk(std::uint64_t seed) : random_(seed), seed_(seed) {
    worlds_.push_back(std::make_unique<World>(World{arena_of(8 * mib), {}}));
    Heap made(worlds_.front()->arena);
  }

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      World& world = *worlds_[random_.below(worlds_.size())];
      Heap heap(world.arena);
      act(world, heap);
      if (step % 64 == 0) check(world, heap, step);
      if (testing::Test::HasFailure()) return;
    }
    for (const auto& world : worlds_) check(*world, Heap(world->arena), steps);
  }

 private:
  void act(World& world, Heap& heap) {
    const std::size_t dice = random_.below(1'000);
    if (dice < 470) {
      allocate(world, heap);
    } else if (dice < 880) {
      deallocate(world, heap);
    } else if (dice < 980) {
      reallocate(world, heap);
    } else if (dice < 985) {
      heap.trim();
    } else if (dice < 990) {
      save(world);
    } else if (dice < 994) {
      roll_back(world);
    } else {
      clone_or_drop(world);
    }
  }

  std::size_t some_size() { return random_.below((std::size_t{1} << random_.below(20)) + 1); }

  void allocate(World& world, Heap& heap) {
    const std::size_t alignment = std::size_t{1} << (random_.below(8) == 0 ? random_.below(17) : 4);
    const std::size_t bytes = some_size();
    auto* const at = static_cast<std::byte*>(heap.try_allocate(bytes, alignment));
    if (at == nullptr) return;  // full
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(at) % alignment, 0u) << "seed " << seed_;
    Block block{static_cast<std::size_t>(at - world.arena.data()), bytes, next_value()};
    std::memset(at, block.value, bytes);
    world.blocks.push_back(block);
  }

  void deallocate(World& world, Heap& heap) {
    if (world.blocks.empty()) return;
    std::swap(world.blocks[random_.below(world.blocks.size())], world.blocks.back());
    ASSERT_TRUE(holds(world.arena, world.blocks.back())) << "seed " << seed_;
    heap.deallocate(world.blocks.back().in(world.arena));
    world.blocks.pop_back();
  }

  void reallocate(World& world, Heap& heap) {
    if (world.blocks.empty()) return;
    Block& block = world.blocks[random_.below(world.blocks.size())];
    const std::size_t bytes = some_size();
    std::byte* at = nullptr;
    try {
      at = static_cast<std::byte*>(heap.reallocate(block.in(world.arena), bytes));
    } catch (const std::bad_alloc&) {
      ASSERT_TRUE(holds(world.arena, block)) << "seed " << seed_;
      return;
    }
    block.offset = static_cast<std::size_t>(at - world.arena.data());
    block.bytes = std::min(block.bytes, bytes);
    ASSERT_TRUE(holds(world.arena, block)) << "seed " << seed_;
    block = {block.offset, bytes, next_value()};
    std::memset(at, block.value, bytes);
  }

  void save(World& world) {
    if (&world != worlds_.front().get()) return;
    if (saved_.size() == 4) saved_.erase(saved_.begin() + static_cast<std::ptrdiff_t>(random_.below(4)));
    saved_.push_back({world.arena.snapshot(), world.blocks});
  }

  void roll_back(World& world) {
    if (&world != worlds_.front().get() || saved_.empty()) return;
    const Saved& to = saved_[random_.below(saved_.size())];
    world.arena.rollback(to.snapshot);
    world.blocks = to.blocks;
  }

  void clone_or_drop(World& world) {
    if (worlds_.size() < 4) {
      worlds_.push_back(std::make_unique<World>(World{world.arena.clone(), world.blocks}));
    } else if (&world != worlds_.front().get()) {
      std::erase_if(worlds_, [&](const auto& candidate) { return candidate.get() == &world; });
      dropped_ = true;
    }
  }

  void check(const World& world, const Heap& heap, int step) {
    if (std::exchange(dropped_, false)) return;  // it may be this one
    ASSERT_TRUE(is_sound(heap)) << "seed " << seed_ << " step " << step;
    ASSERT_TRUE(holds_all(world.arena, world.blocks)) << "seed " << seed_ << " step " << step;
    ASSERT_EQ(heap.stats().live_blocks, world.blocks.size()) << "seed " << seed_ << " step " << step;
  }

  std::uint8_t next_value() { return ++value_; }

  Random random_;
  std::uint64_t seed_;
  std::uint8_t value_ = 0;
  bool dropped_ = false;
  std::vector<std::unique_ptr<World>> worlds_;
  std::vector<Saved> saved_;
};

TEST(Heap, keeps_every_block_in_any_sequence_of_operations) {
  const std::uint64_t first = seed_or(1);
  const std::uint64_t usual = number_from_environment("COW_SEED") ? 1 : under_sanitizer ? 4 : 24;
  const std::uint64_t seeds = number_from_environment("COW_RUNS").value_or(usual);
  for (std::uint64_t i = 0; i < seeds; ++i) {
    RandomWalk(first + i).run(under_sanitizer ? 2'000 : 6'000);
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace cow::test

// Promise: the account of memory adds up to what the kernel reports for the memory file.
#include <filesystem>
#include <map>
#include <random>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "cow/memory_account.hpp"
#include "support/barriers.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 128;

Arena touched_arena(Barrier barrier = Barrier::mprotect, const char* name = "cow") {
  Arena arena({.capacity = pages * page_size(), .name = name, .barrier = barrier});
  fill_run(arena, 0, pages, 1);
  return arena;
}

std::uint64_t in_pages(std::uint64_t bytes) { return bytes / page_size(); }

TEST(MemoryAccount, an_arena_alone_is_its_pages) {
  const Arena arena = touched_arena();
  const MemoryAccount account = account_memory(arena);
  EXPECT_EQ(in_pages(account.live_bytes), pages);
  EXPECT_EQ(account.total(), account.live_bytes);
  EXPECT_EQ(account.kernel_bytes, account.total());
  EXPECT_EQ(account.kernel_bytes, arena.stats().file_bytes);
}

TEST(MemoryAccount, before_images_are_in_history_and_stay_warm_when_freed) {
  Arena arena = touched_arena();
  {
    const Snapshot snapshot = arena.snapshot();
    fill_run(arena, 0, 10, 2);
    const MemoryAccount account = account_memory(arena);
    EXPECT_GE(in_pages(account.history_bytes), 10U);
    EXPECT_EQ(account.kernel_bytes, account.total());
  }
  const MemoryAccount account = account_memory(arena);
  EXPECT_EQ(account.history_bytes, 0U);
  EXPECT_GE(in_pages(account.history_free_bytes), 10U) << "free, with their memory";
  EXPECT_EQ(account.kernel_bytes, account.total());
}

TEST(MemoryAccount, what_writers_leave_to_clones_is_told_apart) {
  Arena arena = touched_arena();
  Arena clone = arena.clone();
  fill_run(arena, 0, 8, 2);
  fill_run(clone, 100, 4, 3);
  const MemoryAccount account = account_memory(arena);
  EXPECT_EQ(in_pages(account.live_bytes), pages);
  EXPECT_GE(in_pages(account.left_behind_bytes), 8U);
  EXPECT_GE(in_pages(account.relatives_bytes), 4U);
  EXPECT_EQ(account.kernel_bytes, account.total());
  const MemoryAccount of_clone = account_memory(clone);
  EXPECT_EQ(of_clone.live_bytes, account.relatives_bytes);
  EXPECT_EQ(of_clone.relatives_bytes, account.live_bytes);
  EXPECT_EQ(of_clone.total(), account.total());
}

TEST(MemoryAccount, reading_and_making_ready_are_told_apart_from_writing) {
  Arena arena({.capacity = pages * page_size()});
  { const Snapshot first = arena.snapshot(); }  // before that all that has memory counts as written
  put_mark(arena, 0, 1);  // its neighbours become writable too, and hold nothing yet
  MemoryAccount account = account_memory(arena);
  EXPECT_GT(account.untouched_bytes, 0U);
  EXPECT_EQ(in_pages(account.kernel_bytes), 1U);
  EXPECT_EQ(account.kernel_bytes, account.total());
  EXPECT_EQ(mark_of(arena, 100), 0U);  // the kernel gives a hole memory for being read
  account = account_memory(arena);
  EXPECT_EQ(in_pages(account.read_only_bytes), 1U);
  EXPECT_EQ(in_pages(account.kernel_bytes), 2U);
  EXPECT_EQ(account.kernel_bytes, account.total());
}

TEST(MemoryAccount, it_reads_well) {
  const Arena arena = touched_arena();
  const std::string text = to_text(account_memory(arena));
  EXPECT_NE(text.find("as the kernel counts"), std::string::npos);
}

/// Lives and writes at random; nothing is left open but what the account must know of.
class RandomLife {
 public:
  explicit RandomLife(std::uint64_t seed, Barrier barrier = Barrier::mprotect, const char* name = "cow")
      : random_(seed) {
    arenas_.push_back(touched_arena(barrier, name));
  }

  void step() {
    Arena& arena = arenas_[pick(arenas_.size())];
    switch (pick(8)) {
      case 0:
        snapshots_.push_back(arena.snapshot());
        break;
      case 1:
        if (arenas_.size() < 5) arenas_.push_back(arena.clone());
        break;
      case 2:
        if (!snapshots_.empty()) forget(snapshots_, pick(snapshots_.size()));
        break;
      case 3:
        if (arenas_.size() > 1) forget(arenas_, pick(arenas_.size()));
        break;
      case 4:
        arena.discard(page_at(arena, pick(pages - 4)), 4 * page_size());
        break;
      case 5:
        if (!snapshots_.empty()) (void)mark_of(snapshots_[pick(snapshots_.size())].view(), pick(pages));
        break;
      default:
        put_mark(arena, pick(pages), random_());
        break;
    }
  }
  /// What holds frames for longer, or moves many at once.
  void larger_step() {
    Arena& arena = arenas_[pick(arenas_.size())];
    switch (pick(6)) {
      case 0:
        if (!snapshots_.empty()) views_.push_back(snapshots_[pick(snapshots_.size())].view());
        break;
      case 1:
        if (!views_.empty()) forget(views_, pick(views_.size()));
        break;
      case 2:
        if (!snapshots_.empty() && arenas_.size() < 5) {
          arenas_.push_back(snapshots_[pick(snapshots_.size())].clone());  // perhaps of an arena that is gone
        }
        break;
      case 3:
        roll_back(arena);
        break;
      case 4:
        arena.prepare_write(page_at(arena, pick(pages - 16)), 16 * page_size());
        break;
      default:
        fill_run(arena, pick(pages - 16), 16, random_());
        break;
    }
  }
  Arena& any_arena() { return arenas_[pick(arenas_.size())]; }
  std::vector<Snapshot>& snapshots() { return snapshots_; }
  std::size_t pick(std::size_t below) { return random_() % below; }

  template <class T>
  static void forget(std::vector<T>& all, std::size_t i) {
    std::swap(all[i], all.back());
    all.pop_back();
  }

 private:
  void roll_back(Arena& arena) {
    if (snapshots_.empty()) return;
    try {
      arena.rollback(snapshots_[pick(snapshots_.size())]);
    } catch (const std::invalid_argument&) {  // it is another arena's
    }
  }

  std::mt19937_64 random_;
  std::vector<Arena> arenas_;
  std::vector<Snapshot> snapshots_;
  std::vector<View> views_;
};

/// Asks the kernel without the library: memory and swap behind all open memory files that bear the name.
std::uint64_t bytes_of_memory_files(const std::string& name) {
  std::map<ino_t, std::uint64_t> files;  // once each, however often opened
  for (const auto& descriptor : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(descriptor.path(), gone).string();
    if (!target.starts_with("/memfd:") || target.find(name) == std::string::npos) continue;
    struct stat status {};
    if (::fstat(std::stoi(descriptor.path().filename()), &status) == 0) {
      files[status.st_ino] = static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
  }
  std::uint64_t sum = 0;
  for (const auto& [file, bytes] : files) sum += bytes;
  return sum;
}

TEST(MemoryAccount, it_adds_up_whatever_happened) {
  const std::uint64_t seed = seed_or(20260101);
  SCOPED_TRACE(testing::Message() << "COW_SEED=" << seed);
  RandomLife life(seed);
  for (int i = 0; i < 1500; ++i) {
    life.step();
    const MemoryAccount account = account_memory(life.any_arena());
    ASSERT_EQ(account.kernel_bytes, account.total()) << "after step " << i << "\n" << to_text(account);
  }
}

class MemoryAccounts : public BarrierTest {};
COW_FOR_EVERY_BARRIER(MemoryAccounts);

TEST_P(MemoryAccounts, are_what_the_kernel_reports_of_the_memory_files_whatever_happened) {
  const std::uint64_t seed = seed_or(20260101);
  SCOPED_TRACE(testing::Message() << "COW_SEED=" << seed);
  RandomLife life(seed, GetParam(), "accounted");
  for (int i = 0; i < 1500; ++i) {
    if (i % 3 == 0) {
      life.larger_step();
    } else {
      life.step();
    }
    const MemoryAccount account = account_memory(life.any_arena());
    ASSERT_EQ(account.total(), bytes_of_memory_files("accounted")) << "after step " << i << "\n" << to_text(account);
    ASSERT_EQ(account.kernel_bytes, account.total()) << "after step " << i;
  }
}

TEST_P(MemoryAccounts, end_with_nothing_when_all_is_gone) {
  {
    RandomLife life(seed_or(20260101), GetParam(), "passing");
    for (int i = 0; i < 100; ++i) life.larger_step();
    EXPECT_GT(bytes_of_memory_files("passing"), 0U);
  }
  EXPECT_EQ(bytes_of_memory_files("passing"), 0U);
}

std::uint64_t bytes_in_use(const Arena& arena) {
  const ArenaStats stats = arena.stats();
  return (stats.file_frames_used + stats.history_frames_used) * page_size();
}

TEST(ExclusiveBytes, a_snapshot_alone_costs_what_was_written_since) {
  Arena arena = touched_arena();
  const Snapshot snapshot = arena.snapshot();
  EXPECT_EQ(snapshot.exclusive_bytes(), 0U) << "all is shared with the arena";
  fill_run(arena, 0, 10, 2);
  EXPECT_EQ(snapshot.exclusive_bytes(), arena.stats().history_frames_used * page_size());
}

TEST(ExclusiveBytes, what_an_older_snapshot_needs_too_is_not_exclusive) {
  Arena arena = touched_arena();
  const Snapshot older = arena.snapshot();
  put_mark(arena, 5, 2);
  const std::size_t of_older = older.exclusive_bytes();
  const Snapshot newer = arena.snapshot();
  const std::size_t of_newer = newer.exclusive_bytes();  // page 5 may have been copied ahead for it
  put_mark(arena, 40, 3);                                // its before-image shows in both
  EXPECT_EQ(newer.exclusive_bytes(), of_newer);
  EXPECT_EQ(older.exclusive_bytes(), of_older);
}

TEST(ExclusiveBytes, what_a_clone_shows_is_not_exclusive) {
  Arena arena = touched_arena();
  const Snapshot snapshot = arena.snapshot();
  const Arena clone = snapshot.clone();
  fill_run(arena, 0, 4, 2);
  EXPECT_EQ(snapshot.exclusive_bytes(), 0U);
}

TEST(ExclusiveBytes, an_empty_snapshot_has_none_to_ask) {
  EXPECT_THROW((void)Snapshot().exclusive_bytes(), std::logic_error);
}

TEST(ExclusiveBytes, dropping_frees_what_was_told_whatever_happened) {
  const std::uint64_t seed = seed_or(20260101);
  SCOPED_TRACE(testing::Message() << "COW_SEED=" << seed);
  RandomLife life(seed);
  for (int i = 0; i < 3000; ++i) {
    life.step();
    if (i % 5 != 0 || life.snapshots().empty()) continue;
    const std::size_t at = life.pick(life.snapshots().size());
    Snapshot& snapshot = life.snapshots()[at];
    std::size_t handles = 0;
    for (const Snapshot& other : life.snapshots()) handles += other == snapshot ? 1 : 0;
    const std::size_t told = snapshot.exclusive_bytes();
    const Arena& arena = life.any_arena();
    const std::uint64_t before = bytes_in_use(arena);
    RandomLife::forget(life.snapshots(), at);
    if (handles == 1) {
      ASSERT_EQ(before - bytes_in_use(arena), told) << "after step " << i;
    }
  }
}

}  // namespace
}  // namespace cow::test

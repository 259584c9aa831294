// Promise: pages that are read where the arena shows them are the snapshot's, whatever writers do meanwhile; what is
// not, is told.
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <thread>

#include "arena/operation.hpp"
#include "arena/pages_in_place.hpp"
#include "files/saved.hpp"
#include "files/version_source.hpp"
#include "support/barriers.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 256;
using files::PageLook;
using files::PageNews;

class InPlace : public BarrierTest {
 protected:
  InPlace() {
    if (!pages_are_read_in_place) return;
    arena.paint_run(0, 64, 5);
    arena.paint_run(100, 20, 6);
    snapshot = arena.arena().snapshot();
  }
  void SetUp() override {
    BarrierTest::SetUp();
    if (!pages_are_read_in_place) GTEST_SKIP() << "sanitizers would take it for an error";
  }
  Version& version() { return *Access::version(snapshot); }
  Painted arena = painted(pages, GetParam());
  Snapshot snapshot;
};
COW_FOR_EVERY_BARRIER(InPlace);

TEST_P(InPlace, pages_are_read_until_a_writer_comes) {
  PageLook look(version(), nullptr, "testing");
  (void)look.look({{0}, 64}, true);
  if (GetParam() == Barrier::kernel && look.sums(0, 1).empty()) GTEST_SKIP() << "no alias of home yet";
  ASSERT_FALSE(look.sums(0, 64).empty()) << "copied";
  EXPECT_TRUE(look.still());
  arena.paint(200, 1);
  EXPECT_TRUE(look.still()) << "another page was written";
  arena.paint(10, 9);
  if (GetParam() == Barrier::kernel) (void)arena.arena().snapshot();  // writers come at cuts
  EXPECT_FALSE(look.still());
  const auto sum = look.sums(10, 1).front();
  look.copy({{0}, 64});
  EXPECT_EQ(files::checksum(look.content(10, 1)), sum) << "the copy is not what was looked at";
}

TEST_P(InPlace, pages_without_memory_or_of_others_are_not) {
  PageLook look(version(), nullptr, "testing");
  (void)look.look({{80}, 30}, true);  // some were never written
  EXPECT_TRUE(look.sums(0, 1).empty());
  arena.paint(3, 8);
  const Snapshot later = arena.arena().snapshot();
  (void)look.look({{0}, 64}, true);  // the snapshot's page 3 is not the arena's any more
  EXPECT_TRUE(look.sums(0, 1).empty());
  const Snapshot of_clone = snapshot.clone().snapshot();
  PageLook borrowed(*Access::version(of_clone), nullptr, "testing");
  (void)borrowed.look({{0}, 64}, true);
  EXPECT_TRUE(borrowed.sums(0, 1).empty());
}

TEST_P(InPlace, pages_that_move_meanwhile_are_read_again) {
  PageLook look(version(), nullptr, "testing");
  {
    const Moving moving(version().books);
    (void)look.look({{0}, 64}, true);
    EXPECT_TRUE(look.sums(0, 1).empty()) << "one is under way";
  }
  (void)look.look({{0}, 64}, true);
  EXPECT_TRUE(look.still());
  { const Moving moving(version().books); }
  EXPECT_EQ(look.still(), look.sums(0, 1).empty());
}

TEST_P(InPlace, pages_without_memory_take_none) {
  Arena sparse({.capacity = 4096 * page_size(), .barrier = GetParam()});
  const auto write_runs = [&](std::uint64_t value) {  // writers in order have pages opened ahead of them
    for (std::size_t first = 0; first < 4096; first += 256) {
      for (std::size_t page = first; page < first + 70; ++page) fill(sparse, page, value);
    }
  };
  write_runs(3);
  const Snapshot now = sparse.snapshot();
  const Folder folder(memory_folder());
  const std::uint64_t before = account_memory(sparse).kernel_bytes;
  save(now, folder / "a", unsynced());
  EXPECT_EQ(account_memory(sparse).kernel_bytes, before);
}

TEST_P(InPlace, the_arenas_end_is_waited_for_and_seen) {
  auto other = std::make_unique<Painted>(painted(pages, GetParam()));
  other->paint_run(0, 64, 5);
  const Snapshot last = other->arena().snapshot();
  PageLook look(*Access::version(last), nullptr, "testing");
  (void)look.look({{0}, 64}, true);
  std::thread ending([&] { other.reset(); });
  EXPECT_TRUE(look.still());
  look.leave();
  ending.join();
  (void)look.look({{0}, 64}, true);
  EXPECT_TRUE(look.sums(0, 1).empty());
}

// Writers that never stop, over pages that clones make them move: each file is whole and shows its snapshot.
TEST_P(InPlace, files_saved_beside_writers_verify) {
  const Folder folder(memory_folder());
  std::atomic<bool> stop{false};
  arena.paint_run(0, pages, 11);
  std::thread writer([&] {
    std::mt19937_64 random(3);
    while (!stop) arena.arena().data()[random() % arena.arena().capacity()] = std::byte(random() & 127);
  });
  for (int round = 0; round < 20; ++round) {
    const Snapshot now = arena.arena().snapshot();
    const Arena clone = round % 2 == 0 ? now.clone() : Arena({.capacity = page_size()});
    save(now, folder / "a", unsynced());
    verify(folder / "a");
    const Arena loaded = load(folder / "a", with_layers({}, false));
    const View view = now.view();
    ASSERT_EQ(std::memcmp(loaded.data(), view.data(), loaded.capacity()), 0) << round;
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace cow::test

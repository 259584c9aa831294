// Promise: a save that may let go of its snapshot keeps little of it beside a writer, saves the same, and leaves older
// snapshots and the arena as they are.
#include <atomic>
#include <random>
#include <stdexcept>
#include <thread>

#include "files/saved.hpp"
#include "support/barriers.hpp"

namespace cow::test {
namespace {

class LettingGo : public BarrierTest {
 protected:
  Folder folder{memory_folder()};
};
COW_FOR_EVERY_BARRIER(LettingGo);

TEST_P(LettingGo, saves_the_same_beside_writers) {
  constexpr std::size_t pages = 3000;
  Painted arena = painted(pages, GetParam());
  arena.paint_run(0, pages - 100, 5);
  const Snapshot older = arena.arena().snapshot();
  const Picture then = arena.picture();
  for (std::size_t page = 0; page < pages; page += 5) arena.paint(page, 6);
  Snapshot last = arena.arena().snapshot();
  std::atomic<bool> done{false};
  std::vector<std::uint64_t> written(pages, 0);
  std::thread writer([&] {
    std::mt19937_64 random(7);
    for (std::uint64_t i = 0; !done; ++i) {
      const std::size_t page = random() % pages;
      fill(arena.arena(), page, i + 100);
      written[page] = i + 100;
    }
  });
  save(std::move(last), folder / "a", unsynced());
  done = true;
  writer.join();
  EXPECT_FALSE(last);
  verify(folder / "a");
  EXPECT_TRUE(shows(load(folder / "a", {}), arena.picture()));
  EXPECT_TRUE(shows(older, then));
  for (std::size_t page = 0; page < pages; ++page) {
    if (written[page] != 0) arena.paint(page, written[page]);
  }
  EXPECT_TRUE(arena.is_right());
  arena.arena().rollback(older);
  EXPECT_TRUE(shows(arena.arena(), then));
}

/// The most history in use while a save goes on beside a writer that dirties as many pages as `pace` tells for each
/// page saved, in an order that has nothing to do with the save's.
std::uint64_t most_history(const Folder& folder, Arena& arena, bool lets_go, double pace) {
  const std::size_t pages = page_count(arena);
  fill_run(arena, 0, pages, 1);
  Snapshot last = arena.snapshot();
  Snapshot kept = lets_go ? Snapshot() : last;
  std::uint64_t most = 0, dirtied = 0;
  SaveOptions options = unsynced();
  options.progress = [&](const SaveProgress& progress) {
    const auto due =
        static_cast<std::uint64_t>(static_cast<double>(progress.bytes_done) / static_cast<double>(page_size()) * pace);
    for (; dirtied < due; ++dirtied) put_mark(arena, dirtied * 2654435761U % pages, dirtied);
    most = std::max(most, account_memory(arena).history_bytes);
    return true;
  };
  save(std::move(last), folder / "a", options);
  return most;
}

TEST_P(LettingGo, keeps_little_beside_a_writer_of_half_its_speed) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  constexpr std::size_t pages = 8192;
  Arena arena = make_arena(pages);
  const std::uint64_t all = arena.capacity();
  const std::uint64_t with = most_history(folder, arena, true, 0.5);
  const std::uint64_t without = most_history(folder, arena, false, 0.5);
  EXPECT_LT(with, all / 10);
  EXPECT_GT(without, all / 3);
}

TEST_P(LettingGo, of_a_snapshot_that_others_have_too_keeps_it) {
  Painted arena = painted(500, GetParam());
  arena.paint_run(0, 500, 1);
  Snapshot last = arena.arena().snapshot();
  const Snapshot other = last;
  const Picture then = arena.picture();
  SaveOptions options = unsynced();
  std::size_t page = 0;
  options.progress = [&](const SaveProgress&) {
    for (int i = 0; i < 50; ++i) arena.paint(page++ * 7 % 500, 2);
    return true;
  };
  save(std::move(last), folder / "a", options);
  EXPECT_TRUE(shows(other, then));
  EXPECT_TRUE(shows(load(folder / "a", {}), then));
}

TEST_P(LettingGo, leaves_adopting_meanwhile_right) {
  Painted arena = painted(500, GetParam());
  arena.paint_run(0, 500, 1);
  Snapshot last = arena.arena().snapshot();
  Arena clone = last.clone();
  fill(clone, 5, 7);
  arena.paint(10, 8);
  SaveOptions options = unsynced();
  options.progress = [&](const SaveProgress& progress) {
    if (progress.bytes_done == progress.bytes_total) arena.arena().adopt(clone.snapshot());
    return true;
  };
  save(std::move(last), folder / "a", options);
  EXPECT_TRUE(shows(arena.arena(), [] {
    Picture picture(500, 1);
    picture[5] = 7;
    return picture;
  }()));
}

TEST_P(LettingGo, refuses_to_lay_a_layer_in_the_place_of_its_base) {
  Painted arena = painted(50, GetParam());
  arena.paint_run(0, 50, 1);
  const Snapshot first = arena.arena().snapshot();
  save(first, folder / "a", unsynced());
  arena.paint(7, 2);
  EXPECT_THROW(save(arena.arena().snapshot(), folder / "a", layer_on(first, folder / "a")), std::invalid_argument);
  EXPECT_TRUE(shows(load(folder / "a", {}), Picture(50, 1)));
}

TEST_P(LettingGo, as_a_layer) {
  Painted arena = painted(2000, GetParam());
  arena.paint_run(0, 2000, 1);
  const Snapshot first = arena.arena().snapshot();
  save(first, folder / "a", unsynced());
  arena.paint_run(100, 700, 2);
  arena.paint_run(300, 50, 0);
  Snapshot last = arena.arena().snapshot();
  const Picture then = arena.picture();
  SaveOptions options = layer_on(first, folder / "a");
  std::size_t page = 0;
  options.progress = [&](const SaveProgress&) {
    for (int i = 0; i < 300; ++i) arena.paint(page++ * 7 % 2000, 3);
    return true;
  };
  save(std::move(last), folder / "b", options);
  EXPECT_TRUE(shows(load(folder / "a", with_layers({folder / "b"})), then));
  EXPECT_TRUE(shows(first, Picture(2000, 1)));
  EXPECT_TRUE(arena.is_right());
}

}  // namespace
}  // namespace cow::test

// Promise: what was saved comes back, by each way of loading, as a full arena; a layer holds what differs.
#include <atomic>
#include <thread>

#include "files/saved.hpp"
#include "support/barriers.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 300;

/// Long runs, scattered pages, pages of zeros, and most never written.
void paint_some(Painted& painted) {
  painted.paint_run(3, 100, 7);
  painted.paint_run(40, 5, 0);
  for (std::size_t page = 120; page < 200; page += 3) painted.paint(page, page);
  painted.paint(pages - 1, 9);
}

class SavedArena : public BarrierTest {
 protected:
  LoadOptions options(bool lazy) const {
    LoadOptions options;
    options.lazy = lazy;
    options.barrier = GetParam();
    return options;
  }
  Folder folder;
};
COW_FOR_EVERY_BARRIER(SavedArena);

TEST_P(SavedArena, comes_back_whole) {
  Painted before = painted(pages, GetParam());
  paint_some(before);
  const SaveReport report = save(before.arena().snapshot(), folder / "a", unsynced());
  EXPECT_EQ(report.pages, 95U + 27U + 1U);
  for (const bool lazy : {true, false}) {
    const Arena loaded = load(folder / "a", options(lazy));
    EXPECT_TRUE(shows(loaded, before.picture())) << lazy;
    EXPECT_EQ(loaded.barrier(), GetParam());
    EXPECT_STREQ(loaded.ref().name(), "painted");
  }
}

TEST_P(SavedArena, is_saved_as_it_was_while_writers_go_on) {
  Painted before = painted(pages, GetParam());
  paint_some(before);
  const Snapshot snapshot = before.arena().snapshot();
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::uint64_t i = 0; !done; ++i) fill(before.arena(), i * 37 % pages, i + 1000);
  });
  for (int i = 0; i < 20; ++i) {
    save(snapshot, folder / "a", unsynced());
    EXPECT_TRUE(shows(load(folder / "a", options(i % 2 == 0)), before.picture()));
  }
  done = true;
  writer.join();
}

TEST_P(SavedArena, that_was_loaded_is_a_full_one) {
  Painted before = painted(pages, GetParam());
  paint_some(before);
  save(before.arena().snapshot(), folder / "a", unsynced());
  Painted loaded(load(folder / "a", options(true)), before.picture());
  const Snapshot as_saved = loaded.arena().snapshot();
  loaded.paint_run(0, 20, 50);
  loaded.paint_run(90, 60, 51);
  EXPECT_TRUE(loaded.is_right());
  const Snapshot changed = loaded.arena().snapshot();
  const Picture then = loaded.picture();
  Painted clone(changed.clone(), then);
  clone.paint_run(10, 200, 52);
  loaded.paint_run(5, 100, 53);
  EXPECT_TRUE(clone.is_right());
  EXPECT_TRUE(loaded.is_right());
  EXPECT_TRUE(shows(changed, then));
  EXPECT_TRUE(shows(changed.view(), then));
  EXPECT_TRUE(shows(as_saved, before.picture()));
  EXPECT_TRUE(shows(as_saved.view(), before.picture()));
  loaded.arena().rollback(as_saved);
  EXPECT_TRUE(shows(loaded.arena(), before.picture()));
  Painted base_clone(as_saved.clone(), before.picture());
  base_clone.paint_run(0, pages, 54);
  base_clone.arena().rollback(as_saved);
  EXPECT_TRUE(shows(base_clone.arena(), before.picture()));
  loaded.set_picture(before.picture());
  loaded.arena().discard(page_at(loaded.arena(), 50), 10 * page_size());
  for (std::size_t page = 50; page < 60; ++page) loaded.paint(page, page % 2);
  EXPECT_TRUE(loaded.is_right());
  const std::uint64_t value = 77;
  loaded.arena().write(page_at(loaded.arena(), 70), &value, sizeof value);
  EXPECT_EQ(mark_of(loaded.arena(), 70), 77U);
  EXPECT_TRUE(shows(as_saved, before.picture()));
}

TEST_P(SavedArena, that_was_loaded_adopts_what_its_clones_became) {
  Painted before = painted(pages, GetParam());
  paint_some(before);
  save(before.arena().snapshot(), folder / "a", unsynced());
  Painted loaded(load(folder / "a", options(true)), before.picture());
  const Snapshot as_saved = loaded.arena().snapshot();
  Painted clone(as_saved.clone(), before.picture());
  clone.paint_run(50, 30, 60);
  loaded.paint_run(0, 10, 61);
  const Snapshot theirs = clone.arena().snapshot();
  const std::vector<PageRange> changed = changed_between(as_saved, theirs);
  ASSERT_EQ(changed.size(), 1U);
  EXPECT_LE(changed[0].first, 50U);
  EXPECT_GE(changed[0].first + changed[0].count, 80U);
  loaded.arena().adopt(theirs);
  EXPECT_TRUE(shows(loaded.arena(), clone.picture()));
  loaded.arena().adopt(as_saved);
  EXPECT_TRUE(shows(loaded.arena(), before.picture()));
}

TEST_P(SavedArena, outlives_its_file) {
  Painted before = painted(pages, GetParam());
  paint_some(before);
  save(before.arena().snapshot(), folder / "a", unsynced());
  Arena loaded = load(folder / "a", options(true));
  put_bytes(folder / "b", "something else");
  std::filesystem::rename(folder / "b", folder / "a");
  EXPECT_TRUE(shows(loaded, before.picture()));
  std::filesystem::remove(folder / "a");
  EXPECT_TRUE(shows(loaded.clone(), before.picture()));
}

TEST_P(SavedArena, takes_layers) {
  Painted arena = painted(pages, GetParam());
  paint_some(arena);
  Snapshot last = arena.arena().snapshot();
  save(last, folder / "0", unsynced());
  std::vector<std::filesystem::path> layers;
  std::vector<Picture> pictures{arena.picture()};
  for (std::size_t layer = 1; layer < 6; ++layer) {
    for (std::size_t page = 0; page < pages; page += 7) arena.paint((page + layer * 41U) % pages, page + layer);
    arena.paint_run(layer * 20U, 10, 0);
    const Snapshot now = arena.arena().snapshot();
    const std::string name = std::to_string(layer);
    save(now, folder / name, layer_on(last, layers.empty() ? folder / "0" : layers.back()));
    layers.push_back(folder / name);
    pictures.push_back(arena.picture());
    last = now;
    for (const bool lazy : {true, false}) {
      LoadOptions with = options(lazy);
      with.layers = layers;
      EXPECT_TRUE(shows(load(folder / "0", with), pictures.back())) << "layer " << layer << (lazy ? " lazily" : "");
    }
  }
  LoadOptions with = options(true);
  with.layers = layers;
  Painted loaded(load(folder / "0", with), pictures.back());
  const Snapshot as_saved = loaded.arena().snapshot();
  loaded.paint_run(0, pages, 500);
  loaded.arena().rollback(as_saved);
  EXPECT_TRUE(shows(loaded.arena(), pictures.back()));
}

}  // namespace
}  // namespace cow::test

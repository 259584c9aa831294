// Promise: a layer's scattered pages are shown over the file that they lie on, on any file system and whatever the
// kernel refuses; or the load throws, and leaves nothing.
#include <functional>
#include <random>
#include <string>
#include <system_error>
#include <tuple>

#include "files/saved.hpp"
#include "kernel/disk.hpp"
#include "kernel/os.hpp"
#include "support/barriers.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 3000;

/// A base with a hole in it, and a layer of single pages and short runs all over it, in memory or on a disk.
class ScatteredLayer : public testing::TestWithParam<std::tuple<std::string, Barrier>> {
 protected:
  ScatteredLayer() {
    Painted arena = painted(pages);
    for (std::size_t page = 0; page < pages; ++page) {
      if (page < 1000 || page > 1100) arena.paint(page, page + 1);  // two lines
    }
    const Snapshot first = arena.arena().snapshot();
    save(first, folder / "whole", unsynced());
    std::mt19937 random(7);
    for (std::size_t page = 1; page + 20 < pages; page += 2 + random() % 20) {
      const std::size_t count = 1 + random() % (random() % 10 == 0 ? 20 : 3);
      arena.paint_run(page, count, 100000 + page);
      page += count;
    }
    arena.paint_run(2000, 2, 0);  // a hole in a line
    picture = arena.picture();
    save(arena.arena().snapshot(), folder / "layer", layer_on(first, folder / "whole"));
  }
  void SetUp() override {
    if (!is_available(std::get<Barrier>(GetParam()))) GTEST_SKIP() << "not available here";
  }

  Arena loaded() {
    LoadOptions options = with_layers({folder / "layer"});
    options.barrier = std::get<Barrier>(GetParam());
    return load(folder / "whole", options);
  }

  Folder folder{std::get<std::string>(GetParam()) == "memory" ? memory_folder() : std::filesystem::current_path()};
  Picture picture;
};

TEST_P(ScatteredLayer, is_shown_and_can_be_written_over) {
  Painted arena(loaded(), picture);
  EXPECT_TRUE(arena.is_right());
  const Snapshot as_loaded = arena.arena().snapshot();
  EXPECT_TRUE(shows(as_loaded.view(), picture));
  std::mt19937 random(8);
  for (int i = 0; i < 300; ++i) arena.paint(random() % pages, 7);
  EXPECT_TRUE(arena.is_right());
  EXPECT_TRUE(shows(as_loaded, picture));
  EXPECT_TRUE(shows(as_loaded.clone(), picture));
  arena.arena().rollback(as_loaded);
  EXPECT_TRUE(shows(arena.arena(), picture));
}

TEST_P(ScatteredLayer, is_shown_or_refused_whichever_kernel_call_fails) {
  const std::int64_t before = os::calls_made();
  EXPECT_TRUE(shows(loaded(), picture));
  const std::int64_t calls = os::calls_made() - before;
  std::int64_t refused = 0;
  for (std::int64_t nth = 1; nth < calls; nth += nth < 60 ? 1 : 7) {
    os::fail_after(nth);
    try {
      const Arena arena = loaded();
      os::fail_after(0);
      ASSERT_TRUE(shows(arena, picture)) << "call " << nth;
    } catch (const std::system_error&) {
      ++refused;
    }
    os::fail_after(0);
  }
  EXPECT_GT(refused, 5);
}

/// So many runs that a clone would copy most of them, if they did not lie in files.
TEST_P(ScatteredLayer, is_not_copied_for_clones) {
  constexpr std::size_t many = 20000;
  Painted saved = painted(many);
  saved.paint_run(0, many, 1);
  const Snapshot first = saved.arena().snapshot();
  save(first, folder / "many", unsynced());
  for (std::size_t page = 0; page < many; page += 8) saved.paint(page, page);
  save(saved.arena().snapshot(), folder / "scattered", layer_on(first, folder / "many"));
  LoadOptions options = with_layers({folder / "scattered"});
  options.barrier = std::get<Barrier>(GetParam());

  Painted arena(load(folder / "many", options), saved.picture());
  const std::uint64_t before = account_memory(arena.arena()).kernel_bytes;
  const Snapshot as_loaded = arena.arena().snapshot();
  Painted clone(as_loaded.clone(), saved.picture());
  EXPECT_TRUE(clone.is_right());
  EXPECT_LE(account_memory(arena.arena()).kernel_bytes, before + 64 * page_size());
  for (std::size_t page = 3; page < many; page += 1000) clone.paint_run(page, 9, page);
  const Snapshot of_clone = clone.arena().snapshot();
  EXPECT_TRUE(shows(of_clone.clone(), clone.picture()));
  clone.arena().rollback(of_clone);
  EXPECT_TRUE(clone.is_right());
  arena.arena().adopt(of_clone);
  EXPECT_TRUE(shows(arena.arena(), clone.picture()));
  EXPECT_TRUE(shows(as_loaded, saved.picture()));
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ScatteredLayer,
                         testing::Combine(testing::Values("memory", "disk"),
                                          testing::Values(Barrier::mprotect, Barrier::userfaultfd, Barrier::kernel)),
                         [](const auto& setting) {
                           return std::get<0>(setting.param) + "_" + name_of(std::get<1>(setting.param));
                         });

}  // namespace
}  // namespace cow::test

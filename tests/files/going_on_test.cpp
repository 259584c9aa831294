// Promise: a snapshot of a loaded arena, before anything is written, is what the files hold, however they were loaded:
// layers go on from it. Once something differs it is not, and such a layer is refused.
#include <functional>
#include <string>

#include "files/saved.hpp"
#include "support/barriers.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 20000;

/// Each second run of `length` pages has content: more than a process would map one by one.
Painted sparse(std::size_t length) {
  Painted arena = painted(pages);
  for (std::size_t page = 1; page + length < pages; page += 2 * length) arena.paint_run(page, length, page + 1);
  return arena;
}

struct How {
  std::string name;
  Barrier barrier = Barrier::mprotect;
  bool lazy = true, compressed = false;
  std::size_t length = 4;  // of runs; 0: nothing is in it
};

class GoingOn : public testing::TestWithParam<How> {
 protected:
  void SetUp() override {
    if (!is_available(GetParam().barrier)) GTEST_SKIP() << "not available here";
    if (GetParam().compressed && !can_compress()) GTEST_SKIP() << "no zstd here";
  }
  static bool can_compress() {
    try {
      save(painted(1).arena().snapshot(), Folder(memory_folder()) / "a", compressed());
    } catch (const std::exception&) {
      return false;
    }
    return true;
  }
  static SaveOptions compressed() {
    SaveOptions options = unsynced();
    options.compression = Compression::zstd;
    return options;
  }

  Folder folder{memory_folder()};
};

TEST_P(GoingOn, by_layers_from_what_was_loaded) {
  const How how = GetParam();
  Painted saved = how.length == 0 ? painted(pages) : sparse(how.length);
  save(saved.arena().snapshot(), folder / "whole", how.compressed ? compressed() : unsynced());
  LoadOptions options = with_layers({}, how.lazy);
  options.barrier = how.barrier;
  Painted loaded(load(folder / "whole", options), saved.picture());
  const Snapshot as_loaded = loaded.arena().snapshot();

  loaded.paint(1, 77);
  loaded.paint(pages - 1, 78);
  save(loaded.arena().snapshot(), folder / "layer", layer_on(as_loaded, folder / "whole"));
  EXPECT_TRUE(shows(load(folder / "whole", with_layers({folder / "layer"})), loaded.picture()));
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] {
    save(loaded.arena().snapshot(), folder / "wrong", layer_on(loaded.arena().snapshot(), folder / "whole"));
  }));
  if (how.length == 0) return;
  loaded.arena().discard(loaded.arena().data(), pages * page_size());
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] {
    save(loaded.arena().snapshot(), folder / "wrong", layer_on(loaded.arena().snapshot(), folder / "whole"));
  }));
}

INSTANTIATE_TEST_SUITE_P(
    Files, GoingOn,
    testing::Values(How{.name = "sparse"}, How{.name = "sparse_with_fronts", .barrier = Barrier::kernel},
                    How{.name = "eager", .lazy = false}, How{.name = "compressed", .compressed = true},
                    How{.name = "single_pages", .length = 1}, How{.name = "empty", .length = 0}),
    [](const auto& how) { return how.param.name; });

}  // namespace
}  // namespace cow::test

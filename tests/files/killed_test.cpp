// Promise: a process that is killed at any moment of a save, whole or as a layer, or of a squash, leaves the old file
// or the new one, and nothing else but a part that bears its name. COW_KILLS=n: how many times (25).
#include <csignal>
#include <cstdint>
#include <random>
#include <string>
#include <thread>

#include "files/saved.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 64;

// The pages all bear the number of the round, so that a mixture shows. "a" is saved whole, "b" on it, then both are
// joined.
COW_CHILD_BODY(save_for_ever) {
  Arena arena({.capacity = pages * page_size()});
  const std::string a = argument + "/a", b = argument + "/b";
  std::uint64_t first = 1;
  if (std::filesystem::exists(a)) first = mark_of(load(a), 0) + 1;  // numbers only grow
  for (std::uint64_t round = first;; round += 2) {
    SaveOptions whole;
    whole.sync = round % 8 == 1;
    fill_run(arena, 0, pages, round);
    const Snapshot since = arena.snapshot();
    save(since, a, whole);
    fill_run(arena, 0, pages, round + 1);
    save(arena.snapshot(), b, layer_on(since, a));
    squash({a, b}, a, unsynced());
  }
}

class KilledSave : public testing::Test {
 protected:
  /// "" if all that is there is as it may be.
  std::string look() {
    for (const std::string& name : folder.names()) {
      if (name == "a" || name == "b") continue;
      const bool part = name.ends_with(".cow-part") && (name.starts_with(".a.") || name.starts_with(".b."));
      if (!part) return "there is a file " + name;
      std::filesystem::remove(folder / name);
      ++parts;
    }
    if (!std::filesystem::exists(folder / "a")) return last == 0 ? "" : "the file is gone";
    verify(folder / "a");
    const Arena loaded = load(folder / "a", {});
    const std::uint64_t now = mark_of(loaded, 0);
    if (!shows(loaded, Picture(pages, now))) return "a mixture";
    if (now < last) return "an older file than before";
    last = now;
    return std::filesystem::exists(folder / "b") ? look_at_layer() : "";
  }

  /// A layer on the file that is there, or on one that has been replaced since.
  std::string look_at_layer() {
    verify(folder / "b");
    const SavedFile file = inspect(folder / "a"), layer = inspect(folder / "b");
    if (layer.base_id != file.id) return "";
    ++layers;
    return shows(load(folder / "a", with_layers({folder / "b"})), Picture(pages, last + 1)) ? "" : "a wrong layer";
  }

  const Folder folder{memory_folder()};
  std::uint64_t last = 0, parts = 0, layers = 0;
};

TEST_F(KilledSave, leaves_the_old_file_or_the_new_one) {
  const std::uint64_t kills = number_from_environment("COW_KILLS").value_or(25);
  std::mt19937_64 random(seed_or(20261125));
  for (std::uint64_t round = 0; round < kills; ++round) {
    const Child child = start_child("save_for_ever", folder.path().string());
    std::this_thread::sleep_for(std::chrono::microseconds(15000 + random() % 40000));
    ::kill(child.pid, SIGKILL);
    EXPECT_TRUE(wait_for(child).died_by(SIGKILL));
    const std::string wrong = look();
    ASSERT_EQ(wrong, "") << "after kill " << round + 1;
  }
  EXPECT_GT(last, 0U);
  RecordProperty("parts_left", static_cast<int>(parts));
  RecordProperty("saves_at_least", std::to_string(last));
  RecordProperty("layers_loaded", static_cast<int>(layers));
}

}  // namespace
}  // namespace cow::test

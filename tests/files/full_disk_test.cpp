// Promise: where the disk is full, or its limit reached, in the middle of a save or a squash, the old file is as it was
// and nothing is left beside it; with room again the same call succeeds.
#include <sys/mount.h>
#include <sys/resource.h>

#include <functional>
#include <initializer_list>
#include <string>
#include <system_error>
#include <utility>

#include "files/saved.hpp"
#include "support/limits.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 400;

/// A file system of its own, with so many bytes.
class SmallDisk {
 public:
  SmallDisk(const std::filesystem::path& at, std::size_t bytes) : at_(at) {
    const std::string options = "size=" + std::to_string(bytes);
    mounted_ = ::mount("cow-test", at.c_str(), "tmpfs", 0, options.c_str()) == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(at_.c_str(), MNT_DETACH);
  }
  bool is_there() const { return mounted_; }

 private:
  std::filesystem::path at_;
  bool mounted_;
};

class FullDisk : public testing::Test {
 protected:
  FullDisk() : disk(folder.path(), 3 * pages * page_size() / 2) {
    arena.paint_run(0, pages / 4, 3);
    first = arena.arena().snapshot();
    arena.paint_run(0, pages, 4);
    second = arena.arena().snapshot();
  }
  void SetUp() override {
    if (!disk.is_there()) GTEST_SKIP() << "no file system can be mounted here";
    save(first, folder / "a", unsynced());
    old = bytes_of(folder / "a");
  }
  void fill_up() {
    std::ofstream file(folder / "filler", std::ios::binary);
    const std::string some(page_size(), 'x');
    for (std::size_t i = 0; i < pages; ++i) file << some;
  }

  /// The call fails for want of room, and leaves all as it was.
  void expect_failure(const std::function<void()>& call) {
    const std::vector<std::string> names = folder.names();
    try {
      call();
      ADD_FAILURE() << "had room";
    } catch (const std::system_error& error) {
      EXPECT_TRUE(error.code() == std::errc::no_space_on_device || error.code() == std::errc::file_too_large)
          << error.what();
    }
    EXPECT_EQ(folder.names(), names);
    EXPECT_EQ(bytes_of(folder / "a"), old);
    EXPECT_TRUE(arena.is_right());
  }

  Folder folder;
  SmallDisk disk;
  Painted arena = painted(pages);
  Snapshot first, second;
  std::string old;
};

TEST_F(FullDisk, leaves_the_old_file_when_a_save_ends_there) {
  fill_up();
  expect_failure([&] { save(second, folder / "a", unsynced()); });
  expect_failure([&] { save(second, folder / "a", {}); });
  expect_failure([&] { save(Snapshot(second), folder / "a", unsynced()); });
  expect_failure([&] { save(second, folder / "layer", layer_on(first, folder / "a")); });
  std::filesystem::remove(folder / "filler");
  save(second, folder / "a", {});
  EXPECT_TRUE(shows(load(folder / "a"), arena.picture()));
}

TEST_F(FullDisk, leaves_the_old_file_when_a_squash_ends_there) {
  const Folder elsewhere;
  save(second, elsewhere / "layer", layer_on(first, folder / "a"));
  fill_up();
  expect_failure([&] { squash({folder / "a", elsewhere / "layer"}, folder / "a", unsynced()); });
  std::filesystem::remove(folder / "filler");
  squash({folder / "a", elsewhere / "layer"}, folder / "a", unsynced());
  EXPECT_TRUE(shows(load(folder / "a"), arena.picture()));
}

TEST_F(FullDisk, in_a_save_that_lets_go_leaves_the_arena_right) {
  fill_up();
  Snapshot last = arena.arena().snapshot();
  arena.paint_run(3, 50, 5);
  expect_failure([&] { save(std::move(last), folder / "a", unsynced()); });
  EXPECT_TRUE(shows(arena.arena().snapshot(), arena.picture()));
  EXPECT_FALSE(last);
}

TEST_F(FullDisk, is_no_different_from_a_limit_on_the_length_of_files) {
  for (const std::size_t limit : {std::size_t{0}, page_size(), 50 * page_size()}) {
    for (const auto& call : std::initializer_list<std::function<void()>>{
             [&] { save(second, folder / "a", unsynced()); },
             [&] { squash({folder / "a"}, folder / "a", unsynced()); },
         }) {
      expect_failure([&] {
        const LoweredLimit lowered(RLIMIT_FSIZE, limit);
        call();
      });
    }
  }
}

}  // namespace
}  // namespace cow::test

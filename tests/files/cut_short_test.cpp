// Promise: where a file that an arena is mapped from was cut short, against the rules, a save or a read of what it
// showed throws, says why, and leaves nothing behind; what lies before the cut can still be had.
#include <unistd.h>

#include <string>
#include <system_error>
#include <vector>

#include "files/saved.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 300, cut = 200;

class CutShort : public testing::Test {
 protected:
  CutShort() {
    painted_one.paint_run(0, pages, 3);
    save(painted_one.arena().snapshot(), folder / "a", unsynced());
    loaded = load(folder / "a");
    loaded.data()[5 * page_size()] = std::byte{7};  // its own from here on
    snapshot = loaded.snapshot();
    EXPECT_EQ(::truncate((folder / "a").c_str(), static_cast<off_t>(cut * page_size())), 0);
  }

  template <class Call>
  static testing::AssertionResult says_so(Call&& call) {
    try {
      call();
    } catch (const std::system_error& error) {
      if (std::string(error.what()).find("cut short") != std::string::npos) return testing::AssertionSuccess();
      return testing::AssertionFailure() << error.what();
    }
    return testing::AssertionFailure() << "did not throw";
  }

  Folder folder{memory_folder()};
  Painted painted_one = painted(pages);
  Arena loaded{{.capacity = page_size()}};
  Snapshot snapshot;
};

TEST_F(CutShort, a_save_says_so_and_leaves_nothing) {
  Folder other{memory_folder()};
  EXPECT_TRUE(says_so([&] { save(snapshot, other / "b", unsynced()); }));
  EXPECT_TRUE(says_so([&] { save(Snapshot(snapshot), other / "b", unsynced()); }));
  EXPECT_TRUE(other.names().empty());
  EXPECT_TRUE(says_so([&] { save(snapshot, folder / "a", unsynced()); }));
  EXPECT_EQ(folder.names(), std::vector<std::string>{"a"});
  EXPECT_EQ(std::filesystem::file_size(folder / "a"), cut * page_size());
}

TEST_F(CutShort, a_read_says_so_and_what_lies_before_is_read) {
  std::vector<std::byte> page(page_size());
  EXPECT_TRUE(says_so([&] { snapshot.read((pages - 1) * page_size(), page); }));
  snapshot.read(5 * page_size(), page);
  EXPECT_EQ(page[0], std::byte{7});
  snapshot.read(100 * page_size(), page);
  EXPECT_EQ(page[0], std::byte{3});
}

TEST_F(CutShort, loading_or_checking_it_says_so) {
  EXPECT_THROW((void)load(folder / "a"), std::runtime_error);
  EXPECT_THROW((void)load(folder / "a", with_layers({}, false)), std::runtime_error);
  EXPECT_THROW(verify(folder / "a"), std::runtime_error);
  EXPECT_THROW(squash({folder / "a"}, folder / "b"), std::runtime_error);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace cow::test

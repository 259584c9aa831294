// Promise: a save to a descriptor never writes over a file that the arena, or the layer, needs; where it fails, the
// arena is right and can be saved again.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <system_error>

#include "files/saved.hpp"
#include "kernel/os.hpp"
#include "support/limits.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 300;

/// Whether it is refused as an argument that cannot be, and says so.
template <class Call>
testing::AssertionResult refused(Call&& call, const std::string& says) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    if (std::string(error.what()).find(says) != std::string::npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << error.what();
  }
  return testing::AssertionFailure() << "was not refused";
}

class Descriptors : public testing::Test {
 protected:
  Descriptors() {
    painted_one.paint_run(0, pages, 3);
    save(painted_one.arena().snapshot(), folder / "a", unsynced());
    before = bytes_of(folder / "a");
  }
  ~Descriptors() override { ::close(fd); }

  int open_to_write(const std::string& name) {
    return fd = ::open((folder / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  }

  Folder folder{memory_folder()};
  Painted painted_one = painted(pages);
  std::string before;
  int fd = -1;
};

TEST_F(Descriptors, of_the_file_that_the_arena_is_mapped_from_are_refused) {
  Arena loaded = load(folder / "a");
  Arena clone = loaded.clone();
  open_to_write("a");
  for (Arena* arena : {&loaded, &clone}) {
    arena->data()[7] = arena->data()[7];
    const Snapshot snapshot = arena->snapshot();
    EXPECT_TRUE(refused([&] { save(snapshot, fd); }, "is mapped from"));
  }
  EXPECT_EQ(bytes_of(folder / "a"), before);
  EXPECT_TRUE(shows(loaded, painted_one.picture()));
}

TEST_F(Descriptors, of_the_file_that_a_layer_lies_on_are_refused) {
  const Snapshot first = painted_one.arena().snapshot();
  save(first, folder / "a", unsynced());
  painted_one.paint_run(5, 3, 4);
  before = bytes_of(folder / "a");
  open_to_write("a");
  const Snapshot second = painted_one.arena().snapshot();
  EXPECT_TRUE(refused([&] { save(second, fd, layer_on(first, folder / "a")); }, "lies on"));
  EXPECT_EQ(bytes_of(folder / "a"), before);
  EXPECT_EQ(::lseek(fd, 0, SEEK_CUR), 0);
}

TEST_F(Descriptors, of_another_file_are_written_to_and_load) {
  Arena loaded = load(folder / "a");
  open_to_write("b");
  save(loaded.snapshot(), fd);
  EXPECT_TRUE(shows(load(fd), painted_one.picture()));
}

TEST_F(Descriptors, of_a_file_that_was_read_and_is_mapped_by_nobody_may_be_written_over) {
  Arena loaded = load(folder / "a", with_layers({}, false));
  open_to_write("a");
  ASSERT_EQ(::ftruncate(fd, 0), 0);
  save(loaded.snapshot(), fd);
  EXPECT_TRUE(shows(load(folder / "a"), painted_one.picture()));
}

TEST_F(Descriptors, that_nobody_can_write_to_are_refused_before_anything_is_read) {
  const Snapshot snapshot = painted_one.arena().snapshot();
  const int folder_itself = ::open(folder.path().c_str(), O_RDONLY | O_CLOEXEC);
  for (const auto& [number, code] : {std::pair{-1, EBADF}, std::pair{987, EBADF}, std::pair{folder_itself, EISDIR}}) {
    try {
      save(snapshot, number);
      ADD_FAILURE() << "was saved to " << number;
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code().value(), code) << error.what();
    }
  }
  ::close(folder_itself);
}

TEST_F(Descriptors, leave_the_arena_right_at_whichever_kernel_call_a_save_fails) {
  const Snapshot first = painted_one.arena().snapshot();
  painted_one.paint_run(10, 30, 4);
  const Snapshot second = painted_one.arena().snapshot();
  painted_one.paint_run(20, 30, 5);
  std::int64_t nth = 1;
  for (bool failed = true; failed; ++nth) {
    ASSERT_LT(nth, 2000);
    open_to_write("b");
    ASSERT_EQ(::ftruncate(fd, 0), 0);
    os::fail_after(nth);
    failed = false;
    try {
      save(first, fd);
    } catch (const std::system_error&) {
      failed = true;
    }
    os::fail_after(0);
    if (failed) {
      EXPECT_THROW((void)load(folder / "b"), std::runtime_error) << "what has no end is no saved file, call " << nth;
    }
    EXPECT_TRUE(painted_one.is_right());
    ::close(fd);
  }
  EXPECT_GT(nth, 8);
  Picture as_saved(pages, 3);
  EXPECT_TRUE(shows(load(folder / "b"), as_saved));
}


}  // namespace
}  // namespace cow::test

// Promise: a save that fails, at whichever kernel call, throws, leaves nothing behind, the old file as it was and the
// arena right.
#include <sys/resource.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <iterator>
#include <system_error>
#include <vector>

#include "files/saved.hpp"
#include "kernel/disk.hpp"
#include "kernel/os.hpp"
#include "support/limits.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 200;

class FailedSave : public testing::Test {
 protected:
  FailedSave() {
    arena.paint_run(2, 150, 3);
    first = arena.arena().snapshot();
    save(first, folder / "a", unsynced());
    arena.paint_run(10, 30, 4);
    second = arena.arena().snapshot();
    old = bytes_of(folder / "a");
  }

  /// Whether the call failed because of the nth kernel call of it, and left all as it was.
  template <class Call>
  bool fails_at(std::int64_t nth, Call&& call, bool last_sync_may_fail) {
    bool failed = false;
    os::fail_after(nth);
    try {
      call();
    } catch (const std::system_error&) {
      failed = true;
    }
    os::fail_after(0);
    if (failed && !(last_sync_may_fail && bytes_of(folder / "a") != old)) {
      EXPECT_EQ(bytes_of(folder / "a"), old) << "call " << nth;
    }
    EXPECT_EQ(folder.names(), std::vector<std::string>{"a"}) << "call " << nth;
    return failed;
  }

  void expect_right() {
    verify(folder / "a");
    EXPECT_TRUE(arena.is_right());
    EXPECT_TRUE(shows(second, arena.picture()));
  }

  Folder folder{memory_folder()};
  Painted arena = painted(pages);
  Snapshot first, second;
  std::string old;
};

TEST_F(FailedSave, at_any_kernel_call_leaves_nothing_behind) {
  SaveOptions options;  // synced
  std::int64_t nth = 1;
  for (; nth < 2000; ++nth) {
    if (!fails_at(
            nth, [&] { save(second, folder / "a", options); }, true))
      break;
    put_bytes(folder / "a", old);
    expect_right();
  }
  EXPECT_GT(nth, 15);
  EXPECT_TRUE(shows(load(folder / "a", {}), arena.picture()));
}

TEST_F(FailedSave, that_lets_go_at_any_kernel_call_leaves_the_arena_right) {
  std::int64_t nth = 1;
  for (; nth < 2000; ++nth) {
    Snapshot last = arena.arena().snapshot();
    arena.paint_run(static_cast<std::size_t>(nth % 100), 3, static_cast<std::uint64_t>(nth));
    const Picture now = arena.picture();
    const bool failed = fails_at(
        nth, [&] { save(std::move(last), folder / "a", unsynced()); }, false);
    EXPECT_FALSE(last);
    EXPECT_TRUE(shows(arena.arena(), now));
    if (!failed) break;
  }
  EXPECT_GT(nth, 5);
  EXPECT_TRUE(shows(arena.arena().snapshot(), arena.picture()));
}

TEST_F(FailedSave, of_a_squash_at_any_kernel_call_leaves_nothing_behind) {
  Folder layers;
  save(second, layers / "b", layer_on(first, folder / "a"));
  std::int64_t nth = 1;
  for (; nth < 2000; ++nth) {
    if (!fails_at(
            nth,
            [&] {
              squash({folder / "a", layers / "b"}, folder / "a", unsynced());
            },
            false))
      break;
  }
  EXPECT_GT(nth, 10);
  EXPECT_TRUE(shows(load(folder / "a", {}), arena.picture()));
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST_F(FailedSave, a_load_or_a_squash_that_fails_leaves_no_descriptor_open) {
  const auto load_it = [&] { (void)load(folder / "a", {}); };
  const auto squash_it = [&] { squash({folder / "a"}, folder / "a", {}); };
  for (const std::function<void()>& call : {std::function<void()>(load_it), std::function<void()>(squash_it)}) {
    call();
    const std::size_t before = open_descriptors();
    std::size_t failures = 0;
    for (std::int64_t nth = 1; nth < 2000; ++nth) {
      os::fail_after(nth);
      try {
        call();
        break;
      } catch (const std::system_error&) {
        ++failures;
      }
    }
    os::fail_after(0);
    EXPECT_GT(failures, 10U);
    EXPECT_EQ(open_descriptors(), before);
  }
}

TEST_F(FailedSave, a_load_that_fails_at_any_kernel_call_can_be_tried_again) {
  for (const bool lazy : {true, false}) {
    std::int64_t nth = 1;
    for (; nth < 2000; ++nth) {
      os::fail_after(nth);
      bool failed = false;
      try {
        const Arena loaded = load(folder / "a", with_layers({}, lazy));
      } catch (const std::system_error&) {
        failed = true;
      }
      os::fail_after(0);
      if (!failed) break;
    }
    EXPECT_GT(nth, 15);
    Picture as_saved(pages, 0);
    std::fill_n(as_saved.begin() + 2, 150, 3);
    EXPECT_TRUE(shows(load(folder / "a", with_layers({}, lazy)), as_saved));
  }
}

TEST_F(FailedSave, where_files_may_not_be_that_long) {
  {
    const LoweredLimit limit(RLIMIT_FSIZE, 100000);
    EXPECT_THROW(save(second, folder / "a", {}), std::system_error);
  }
  EXPECT_EQ(bytes_of(folder / "a"), old);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"a"});
}

TEST_F(FailedSave, where_the_folder_is_not_there_or_the_path_is_none) {
  EXPECT_THROW(save(second, folder / "nowhere" / "a", {}), std::system_error);
  EXPECT_THROW(save(second, folder.path(), {}), std::system_error);
  EXPECT_THROW(save(second, "", {}), std::system_error);
  EXPECT_THROW(save(second, 987, {}), std::system_error);
  EXPECT_THROW(save(Snapshot(), folder / "b", {}), std::logic_error);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"a"});
}

TEST_F(FailedSave, of_a_disk_that_is_full) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  try {
    save(second, full, {});
    ADD_FAILURE() << "had room";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_space_on_device);
  }
  ::close(full);
}

TEST(ReadingIntoParts, goes_on_after_a_short_read_where_that_ended) {
  const Folder folder{memory_folder()};
  put_bytes(folder / "a", std::string(3 * page_size(), 'a'));
  const auto file = os::open_to_read((folder / "a").c_str());
  ASSERT_TRUE(file);
  const auto range = os::reserve_addresses(nullptr, 2 * page_size());
  ASSERT_TRUE(range);
  auto* const at = static_cast<std::byte*>(range.value);
  ASSERT_FALSE(os::protect(at, page_size(), os::Access::read_write));
  std::vector<std::byte> other(page_size());
  os::Part parts[] = {{at, 2 * page_size()},
                      {other.data(), other.size()}};  // the kernel stops in the middle of the first
  EXPECT_EQ(os::read_parts(file.value, parts, 2, 0).code, EFAULT);
  EXPECT_EQ(other, std::vector<std::byte>(page_size()));
  os::Part fine[] = {{at, page_size()}, {other.data(), other.size()}};
  EXPECT_FALSE(os::read_parts(file.value, fine, 2, 0));
  EXPECT_EQ(at[page_size() - 1], std::byte{'a'});
  EXPECT_EQ(other.back(), std::byte{'a'});
  os::unmap(range.value, 2 * page_size());
  os::close_file(file.value);
}

}  // namespace
}  // namespace cow::test

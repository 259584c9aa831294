// Promise: what a file says of lengths and counts is believed only as far as it is there: a small file with large
// claims is refused at once, and takes no memory.
#include <sys/resource.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "files/format.hpp"
#include "files/saved.hpp"
#include "storage/saved_files.hpp"

namespace cow::test {
namespace {

using files::Entry;

constexpr std::uint64_t huge = std::uint64_t{1} << 60;

/// A file by its parts, each where its claims put it, with the right checksums as far as they can be had.
struct Forged {
  files::Head head;
  files::Trailer end;
  std::vector<Entry> entries;
  std::vector<std::uint64_t> sums;

  Forged() {
    head.page_bytes = 4096;
    head.capacity = std::uint64_t{1} << 62;
    head.id[0] = end.id[0] = std::byte{1};
  }

  void put(const std::filesystem::path& path) const {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    const auto at = [&](std::uint64_t offset, const auto& bytes) {
      file.seekp(static_cast<std::streamoff>(offset));
      file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    };
    at(0, files::encode(head));
    if (!entries.empty()) at(end.index_offset, files::encode(entries));
    if (!sums.empty()) at(end.sums_offset(), files::encode(sums));
    at(end.file_bytes - files::trailer_bytes, files::encode(end));
    ASSERT_TRUE(file.flush());
  }
};

class Claims : public testing::Test {
 protected:
  void SetUp() override {
    put_bytes(path, "");
    std::error_code too_long;
    std::filesystem::resize_file(path, std::uint64_t{1} << 62, too_long);
    if (too_long) GTEST_SKIP() << "no file of such a length here: " << too_long.message();
  }

  /// By all that read; each within a second, though a huge hole would take years.
  void expect_refused(const std::string& what) {
    ::alarm(20);
    for (const auto& call : std::vector<std::function<void()>>{[&] { (void)inspect(path); }, [&] { verify(path); },
                                                               [&] { (void)load(path, {}); },
                                                               [&] { (void)load(path, with_layers({}, false)); }}) {
      try {
        call();
      } catch (const std::runtime_error& error) {
        EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
        ++refused;
      }
    }
    ::alarm(0);
  }

  Folder folder{memory_folder()};
  const std::filesystem::path path = folder / "claims";
  int refused = 0;
};

TEST_F(Claims, an_index_that_is_a_hole_is_not_read_to_its_end) {
  Forged forged;
  forged.end.index_offset = files::head_bytes;
  forged.end.entries = huge / files::entry_bytes;
  forged.end.file_bytes = forged.end.index_offset + huge + files::trailer_bytes;
  forged.put(path);
  expect_refused("entry 0 of its index");
  EXPECT_EQ(refused, 4);
}

TEST_F(Claims, checksums_that_are_a_hole_are_not_read_to_their_end) {
  constexpr std::uint64_t pages = std::uint64_t{1} << 45;
  Forged forged;
  forged.entries = {{0, pages, files::head_bytes, pages * 4096}};
  forged.end.index_offset = files::head_bytes + pages * 4096;
  forged.end.entries = 1;
  forged.end.index_sum = files::checksum(files::encode(forged.entries));
  forged.end.sums = forged.end.pages = pages;
  forged.end.file_bytes = forged.end.sums_offset() + pages * 8 + files::trailer_bytes;
  forged.put(path);
  ::alarm(20);
  EXPECT_NO_THROW((void)inspect(path));
  try {
    verify(path);
    ADD_FAILURE() << "is right";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("are zeros"), std::string::npos) << error.what();
  }
  ::alarm(0);
}

/// One page of content far out, and nothing before it.
void put_page_at(const std::filesystem::path& path, std::uint64_t offset) {
  const std::vector<std::byte> page(4096, std::byte{7});
  Forged forged;
  forged.head.capacity = std::uint64_t{1} << 20;
  forged.entries = {{3, 1, offset, 4096}};
  forged.sums = {files::checksum(page)};
  forged.end.index_offset = offset + 4096;
  forged.end.entries = forged.end.sums = forged.end.pages = 1;
  forged.end.index_sum = files::checksum(files::encode(forged.entries));
  forged.end.sums_sum = files::checksum(files::encode(forged.sums));
  forged.end.file_bytes = forged.end.sums_offset() + 8 + files::trailer_bytes;
  forged.put(path);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(reinterpret_cast<const char*>(page.data()), 4096);
}

TEST_F(Claims, content_behind_a_hole_of_any_length_is_read) {
  ::alarm(20);
  for (const std::uint64_t offset : {std::uint64_t{1} << 40, huge, huge + (std::uint64_t{1} << 61)}) {
    put_page_at(path, offset);
    verify(path);
    for (const bool lazy : {true, false}) {
      Arena loaded = load(path, with_layers({}, lazy));
      EXPECT_EQ(loaded.data()[3 * 4096], std::byte{7});
      const Snapshot before = loaded.snapshot();
      loaded.data()[3 * 4096] = std::byte{8};
      EXPECT_EQ(changed_between(before, loaded.snapshot()).size(), 1U);
    }
  }
  ::alarm(0);
}

TEST_F(Claims, a_hole_that_is_not_empty_at_its_end_is_found) {
  put_page_at(path, huge);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(huge - 1));
  file.put('x');
  file.close();
  ::alarm(20);
  EXPECT_THROW(verify(path), std::runtime_error);
  ::alarm(0);
}

TEST_F(Claims, a_capacity_beyond_the_address_space_is_refused_and_one_that_fits_takes_no_memory) {
  Forged forged;
  forged.end.index_offset = files::head_bytes;
  forged.end.index_sum = forged.end.sums_sum = files::checksum({});
  forged.end.file_bytes = files::head_bytes + files::trailer_bytes;
  forged.put(path);
  EXPECT_EQ(inspect(path).capacity, std::uint64_t{1} << 62);
  EXPECT_THROW((void)load(path, {}), std::exception);
  for (const std::uint64_t capacity : {~std::uint64_t{0} - 4095, (std::uint64_t{1} << 62) + 4096}) {
    forged.head.capacity = capacity;
    forged.put(path);
    expect_refused("impossible capacity");
  }
  forged.head.capacity = std::uint64_t{1} << 36;
  forged.put(path);
  rusage before{}, after{};
  ::getrusage(RUSAGE_SELF, &before);
  EXPECT_EQ(load(path, {}).capacity(), forged.head.capacity);
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 20000) << "KiB";
}

TEST_F(Claims, pages_larger_than_those_of_any_kernel_are_refused) {
  Forged forged;
  forged.head.page_bytes = 2 * files::block_bytes;
  forged.end.index_offset = files::head_bytes;
  forged.end.file_bytes = files::head_bytes + files::trailer_bytes;
  forged.put(path);
  expect_refused("pages of 131072 bytes");
}

TEST(SavedFiles, are_no_more_than_frames_have_numbers_for) {
  cow::SavedFiles files;
  for (std::size_t i = 0; i < cow::SavedFiles::most_files; ++i) ASSERT_FALSE(files.add({}, 1)) << i;
  EXPECT_EQ(files.add({}, 1).code, EOVERFLOW);
}

}  // namespace
}  // namespace cow::test

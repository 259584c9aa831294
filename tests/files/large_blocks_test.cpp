// Promise: a long run's large blocks lie in the file as blocks, and what is loaded begins at a block of addresses, so
// that kernels can map one as a whole. Short runs leave no such holes, nor does a file take more of a disk for them.
#include <sys/stat.h>

#include <cstdint>

#include "files/content.hpp"
#include "files/saved.hpp"
#include "storage/saved_files.hpp"

namespace cow::test {
namespace {

constexpr std::uint64_t block = SavedFiles::large_block_bytes;

bool begins_at_a_block(const Arena& arena) { return reinterpret_cast<std::uintptr_t>(arena.data()) % block == 0; }

std::uint64_t bytes_on_disk(const std::filesystem::path& path) {
  struct stat kind {};
  EXPECT_EQ(::stat(path.c_str(), &kind), 0);
  return static_cast<std::uint64_t>(kind.st_blocks) * 512;
}

TEST(LargeBlocks, of_a_long_run_are_blocks_of_the_file_and_of_addresses) {
  const Folder folder{memory_folder()};
  const std::size_t first = 300, pages = 20 * block / page_size();
  Painted arena = painted(first + pages + 100);
  arena.paint_run(first, pages, 7);
  arena.paint(first + pages + 50, 8);
  for (const bool letting_go : {false, true}) {
    const std::filesystem::path path = folder / (letting_go ? "let go" : "whole");
    Snapshot now = arena.arena().snapshot();
    letting_go ? save(std::move(now), path, unsynced()) : save(now, path, unsynced());
    const files::Content content = files::Content::open(path, {});
    const files::Entry& run = content.entry(content.pieces().front());
    EXPECT_EQ(run.pages, pages);
    EXPECT_EQ((run.offset - run.first * page_size()) % block, 0U);
    EXPECT_LT(std::filesystem::file_size(path), arena.arena().capacity() + 3 * block);
    EXPECT_LT(bytes_on_disk(path), arena.arena().capacity() + block / 2);

    Arena loaded = load(path);
    EXPECT_TRUE(begins_at_a_block(loaded) && begins_at_a_block(loaded.snapshot().clone()));
    EXPECT_TRUE(shows(loaded, arena.picture()));
  }
}

TEST(LargeBlocks, are_none_where_runs_are_short) {
  const Folder folder{memory_folder()};
  const std::size_t pages = 8 * block / page_size();
  Painted arena = painted(pages);
  arena.paint_run(3, pages / 2, 7);
  save(arena.arena().snapshot(), folder / "short", unsynced());
  EXPECT_LT(std::filesystem::file_size(folder / "short"), (pages / 2) * page_size() + block / 2);
}

}  // namespace
}  // namespace cow::test

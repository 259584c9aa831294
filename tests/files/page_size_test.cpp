// Promise: files are read on machines with other pages. The plan of a load is made for pages of 4, 16 and 64 KiB and
// carried out byte by byte: what it maps lies in whole pages of the file, and all of it together is the content.
#include <fcntl.h>
#include <unistd.h>

#include <random>

#include "files/content.hpp"
#include "files/saved.hpp"

namespace cow::test {
namespace {

using files::Content;
using files::LoadPlan;
using files::Piece;

constexpr std::size_t pages = 900;

std::string carried_out(Content& content, const LoadPlan& plan, const std::vector<std::string>& files,
                        std::uint64_t page_bytes, bool over) {
  std::string memory((content.top().capacity + page_bytes - 1) / page_bytes * page_bytes, '\0');
  std::string covered(memory.size(), '\0');
  const auto cover = [&](std::uint64_t begin, std::uint64_t bytes) {
    EXPECT_EQ(covered.substr(begin, bytes), std::string(bytes, '\0')) << "twice at " << begin;
    covered.replace(begin, bytes, bytes, 'x');
  };
  for (const LoadPlan::Mapped& run : plan.mapped) {
    const std::uint64_t begin = run.first_page * page_bytes, bytes = run.pages * page_bytes;
    EXPECT_LE((run.file_page + run.pages) * page_bytes, files[run.file].size());
    memory.replace(begin, bytes, files[run.file], run.file_page * page_bytes, bytes);
    cover(begin, bytes);
  }
  for (const Piece& piece : plan.copied) {
    content.read(piece, piece.begin,
                 std::as_writable_bytes(std::span(memory)).subspan(piece.begin, piece.end - piece.begin));
    if (!over) cover(piece.begin, piece.end - piece.begin);
  }
  return memory;
}

void save_to_descriptor(const Snapshot& snapshot, const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  save(snapshot, fd, {});
  ::close(fd);
}

TEST(PageSizes, of_other_machines_show_the_same_content) {
  std::mt19937_64 random(20261126);
  for (int round = 0; round < 10; ++round) {
    const Folder folder{memory_folder()};
    Painted arena = painted(pages);
    const auto paint = [&] {
      for (int i = 0; i < 12; ++i) arena.paint_run(random() % 800, random() % 100, random() % 5);
      for (int i = 0; i < 40; ++i) arena.paint(random() % pages, random() % 3);
    };
    paint();
    const Snapshot first = arena.arena().snapshot();
    if (round % 2 == 0) {
      save(first, folder / "0", unsynced());
    } else {  // which lays runs where they come
      save_to_descriptor(first, folder / "0");
    }
    paint();
    save(arena.arena().snapshot(), folder / "1", layer_on(first, folder / "0"));
    const std::vector<std::string> files{bytes_of(folder / "0"), bytes_of(folder / "1")};
    const std::string expected(reinterpret_cast<const char*>(arena.arena().data()), arena.arena().capacity());
    for (const std::uint64_t page_bytes : {4096U, 16384U, 65536U}) {
      for (const auto& [most_mappings, islands_split] : {std::pair(1000U, false), {20U, false}, {20U, true}, {2U, true}}) {
        Content content = Content::open(folder / "0", std::vector<std::filesystem::path>{folder / "1"});
        const LoadPlan plan = files::plan_load(content, page_bytes, {true, most_mappings, islands_split});
        std::string memory = carried_out(content, plan, files, page_bytes, islands_split);
        memory.resize(expected.size());
        EXPECT_TRUE(memory == expected) << page_bytes << ", " << most_mappings << " mappings, round " << round;
      }
    }
  }
}

TEST(PageSizes, larger_than_the_files_still_map_its_long_runs) {
  const Folder folder{memory_folder()};
  Painted arena = painted(pages);
  arena.paint_run(5, 800, 3);
  save(arena.arena().snapshot(), folder / "a", unsynced());
  const Content content = Content::open(folder / "a", {});
  const LoadPlan plan = files::plan_load(content, 65536, {.mappings = 1000});
  std::uint64_t mapped = 0;
  for (const LoadPlan::Mapped& run : plan.mapped) mapped += run.pages * 65536;
  EXPECT_GE(mapped, 800 * page_size() - std::size_t{2} * 65536);
}

}  // namespace
}  // namespace cow::test

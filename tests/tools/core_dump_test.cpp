// Promise: core dumps hold arenas as they are, and nothing of their history.
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "support/barriers.hpp"
#include "support/child.hpp"
#include "support/environment.hpp"
#include "support/pages.hpp"

namespace cow::test {
namespace {

struct DumpedMapping {
  std::uintptr_t begin = 0, end = 0;
  bool left_out = false;
};

/// The mappings of memory files of this name, and whether the kernel leaves them out of core dumps ("dd" in proc(5)).
std::vector<DumpedMapping> mappings_of_file(const std::string& name) {
  std::vector<DumpedMapping> found;
  std::ifstream smaps("/proc/self/smaps");
  bool wanted = false;
  for (std::string line; std::getline(smaps, line);) {
    if (line.rfind("VmFlags:", 0) == 0) {
      if (wanted) found.back().left_out = line.find(" dd") != std::string::npos;
      wanted = false;
    } else if (line.find("/memfd:" + name) != std::string::npos) {
      char* rest = nullptr;
      const std::uintptr_t begin = std::strtoull(line.c_str(), &rest, 16);
      found.push_back({begin, static_cast<std::uintptr_t>(std::strtoull(rest + 1, nullptr, 16)), false});
      wanted = true;
    }
  }
  return found;
}

class CoreDump : public BarrierTest {};
COW_FOR_EVERY_BARRIER(CoreDump);

TEST_P(CoreDump, leaves_out_what_is_kept_for_snapshots) {
  COW_WHERE_WRITES_ARE_CAUGHT();
  Arena arena = make_arena(64, "dumped");
  fill_run(arena, 0, 64, 1);
  const Snapshot snapshot = arena.snapshot();
  fill_run(arena, 0, 64, 2);
  ASSERT_GT(arena.stats().history_frames_used, 0U);
  std::size_t of_the_arena = 0, of_history = 0;
  for (const DumpedMapping& mapping : mappings_of_file("dumped")) {
    const bool live = arena.contains(reinterpret_cast<const void*>(mapping.begin));
    ++(live ? of_the_arena : of_history);
    EXPECT_EQ(mapping.left_out, !live);
  }
  EXPECT_GT(of_the_arena, 0U);
  EXPECT_GT(of_history, 0U);
}

constexpr std::uint64_t old_content = 0x6f6c6420636f6e74, new_content = 0x6e657720636f6e74;
constexpr std::size_t dumped_pages = 256;

COW_CHILD_BODY(dump_core) {
  const rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
  if (::chdir(argument.c_str()) != 0 || ::setrlimit(RLIMIT_CORE, &unlimited) != 0) return 77;
  Arena arena(options_for(Barrier::mprotect, dumped_pages, "dumped"));
  fill_run(arena, 0, dumped_pages, old_content);
  const Snapshot snapshot = arena.snapshot();
  fill_run(arena, 0, dumped_pages, new_content);
  std::abort();
}

/// Pages of the file that begin and end with the word: the stack may have one at the edge of a page.
std::size_t pages_with(const std::filesystem::path& file, std::uint64_t word) {
  std::ifstream stream(file, std::ios::binary);
  std::vector<char> page(page_size());
  std::size_t found = 0;
  while (stream.read(page.data(), static_cast<std::streamsize>(page.size()))) {
    std::uint64_t first = 0, last = 0;
    std::memcpy(&first, page.data(), sizeof first);
    std::memcpy(&last, page.data() + page.size() - sizeof last, sizeof last);
    if (first == word && last == word) ++found;
  }
  return found;
}

TEST(CoreDumpFile, shows_the_arena_and_not_the_past) {
  if (under_sanitizer) GTEST_SKIP() << "sanitizers switch core dumps off";
  std::string place = (std::filesystem::temp_directory_path() / "cow_core_XXXXXX").string();
  ASSERT_NE(::mkdtemp(place.data()), nullptr);
  const ChildResult result = run_child("dump_core", place);
  std::filesystem::path core;
  for (const auto& entry : std::filesystem::directory_iterator(place)) core = entry.path();
  if (!core.empty()) {
    EXPECT_TRUE(result.died_by(SIGABRT)) << result.how();
    EXPECT_EQ(pages_with(core, new_content), dumped_pages);
    EXPECT_EQ(pages_with(core, old_content), 0U);
  }
  std::filesystem::remove_all(place);
  if (core.empty()) GTEST_SKIP() << "core dumps go elsewhere here";
}

}  // namespace
}  // namespace cow::test

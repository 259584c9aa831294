// Promise: where somebody cuts a lazily loaded file short, what the library reads or stores under its locks is an
// exception, with the state as before, and no SIGBUS.
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

#include "cow/cow.hpp"
#include "files/saved.hpp"
#include "support/barriers.hpp"
#include "support/pages.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 64;

class CutShort : public BarrierTest {
 protected:
  CutShort() : path_(folder_ / "saved") {
    Painted painted(make_arena(pages));
    for (std::size_t page = 0; page < pages; ++page) painted.paint(page, page + 1);
    SaveOptions options;
    options.sync = false;
    save(painted.arena().snapshot(), path_, options);
    bytes_ = bytes_of(path_);
    picture_ = painted.picture();
  }

  Arena loaded() const {
    LoadOptions options;
    options.barrier = GetParam();
    return load(path_, options);
  }

  /// In place, as whoever copies another file over it does.
  void cut_short() const { std::filesystem::resize_file(path_, 0); }
  void restore() const {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    file.write(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
  }

  /// The call throws while the file is short, and after that all is as it was; the call works then.
  void expect_refused(Arena& arena, const std::function<void()>& call) const {
    cut_short();
    EXPECT_TRUE(throws_exactly<std::system_error>(call));
    restore();
    EXPECT_TRUE(shows(arena, picture_));
    EXPECT_NO_THROW(call());
  }

  Folder folder_;
  std::filesystem::path path_;
  std::string bytes_;
  Picture picture_;
};
COW_FOR_EVERY_BARRIER(CutShort);

TEST_P(CutShort, files_do_not_kill_who_excludes_their_pages) {
  Arena arena = loaded();
  expect_refused(arena, [&] { arena.exclude(page_at(arena, 4), 4 * page_size()); });
  EXPECT_EQ(arena.stats().pages_excluded, 4U);
  EXPECT_TRUE(shows(arena, picture_));
  Picture without = picture_;
  for (std::size_t page = 4; page < 8; ++page) without[page] = 0;
  EXPECT_TRUE(shows(arena.snapshot(), without));
}

TEST_P(CutShort, files_do_not_kill_who_writes_a_batch) {
  Arena arena = loaded();
  const std::uint64_t word = 77;
  expect_refused(arena, [&] {
    arena.write({{page_at(arena, 1), &word, sizeof word}, {page_at(arena, 9) + 8, &word, sizeof word}});
  });
}

TEST_P(CutShort, files_do_not_kill_who_discards) {
  Arena arena = loaded();
  const Snapshot kept = arena.snapshot();
  expect_refused(arena, [&] { arena.discard(page_at(arena, 3), 2 * page_size()); });
  EXPECT_EQ(mark_of(arena, 4), 0U);
  EXPECT_EQ(mark_of(kept, 4), 5U);
}

TEST_P(CutShort, files_do_not_kill_who_adopts_or_merges) {
  Arena arena = loaded();
  const Snapshot base = arena.snapshot();
  Arena clone = base.clone();
  fill(clone, 6, 100);
  fill(clone, 30, 101);
  const Snapshot theirs = clone.snapshot();
  cut_short();
  EXPECT_TRUE(throws_exactly<std::system_error>([&] { arena.adopt(theirs); }));
  EXPECT_TRUE(throws_exactly<std::system_error>([&] { (void)merge(arena, base, theirs); }));
  restore();
  EXPECT_TRUE(shows(arena, picture_));
  arena.adopt(theirs);
  EXPECT_EQ(mark_of(arena, 30), 101U);
}

TEST_P(CutShort, files_do_not_kill_who_rolls_back) {
  Arena arena = loaded();
  const Snapshot base = arena.snapshot();
  fill(arena, 5, 200);
  (void)arena.snapshot();
  fill(arena, 6, 201);
  cut_short();
  try {
    arena.rollback(base);  // nothing of it may have to be read
  } catch (const std::system_error&) {
  }
  try {
    (void)arena.snapshot();
  } catch (const std::system_error&) {
  }
  restore();
  arena.rollback(base);
  EXPECT_TRUE(shows(arena, picture_));
}

TEST_P(CutShort, files_do_not_kill_who_reads_a_little) {
  Arena arena = loaded();
  const Snapshot base = arena.snapshot();
  cut_short();
  std::uint64_t word;
  EXPECT_TRUE(throws_exactly<std::system_error>([&] {
    base.read(2 * page_size(), std::as_writable_bytes(std::span(&word, 1)));
  }));
  restore();
}

}  // namespace
}  // namespace cow::test

// A version of an arena as something to save: which of its pages may have content, or may differ from another
// version's, and what they hold.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arena/pages_in_place.hpp"
#include "books/arena_books.hpp"
#include "files/format.hpp"
#include "kernel/os.hpp"
#include "storage/saved_files.hpp"

namespace cow::files {

/// A number for the version's content, the same in each file that it is saved to: the loaded files' where nothing has
/// been written since they were loaded.
Id content_of(Version& version, const std::string& doing);

/// What a saved file's head tells of the version, without an id.
Head head_of(Version& version, const std::string& doing);

/// The pages that may have content, in runs; or, with `since`, those that may differ from it.
std::vector<Pages> pages_to_look_at(Version& version, Version* since, const std::string& doing);

enum class PageNews : std::uint8_t {
  nothing,
  zeros,
  content
};

/// Pages of a version, read and compared.
class PageLook {
 public:
  PageLook(Version& version, Version* since, std::string doing);

  /// Pages that are looked at together: those of one large block of the arena, which from p on ends there.
  static std::uint64_t pages_at_once() noexcept {
    return std::clamp<std::uint64_t>(SavedFiles::large_block_bytes / os::page_size(), 1, most_pages);
  }
  static Page end_from(Page p) noexcept { return {(p.value / pages_at_once() + 1) * pages_at_once()}; }

  /// Pages of one such block. What is to be written of each: with content, not at all, or as zeros. In place: without a
  /// copy, where that can be; then still() is asked when the content has been used, and leave() called.
  std::span<const PageNews> look(Pages run, bool in_place);
  /// Content of a part of the run that was looked at last.
  std::span<const std::byte> content(std::uint64_t first, std::uint64_t count) const noexcept;
  /// Its checksums, if they are known.
  std::span<const std::uint64_t> sums(std::uint64_t first, std::uint64_t count) const noexcept;

  /// Whether content was the version's for as long as it was used.
  bool still() noexcept;
  /// Nothing is held any more.
  void leave() noexcept { place_.reset(); }
  /// The same content once more, as a copy.
  void copy(Pages run);

 private:
  static constexpr std::uint64_t most_pages = PagesInPlace::most_pages;

  bool look_in_place(Pages run);

  Version& version_;
  Version* since_;
  std::string doing_;
  std::vector<std::byte> now_, then_;
  const std::byte* at_ = nullptr;
  std::optional<PagesInPlace> place_;
  int trials_ = 16;  // that may still be in vain; beside writers of pages that move most are
  PageNews news_[most_pages];
  std::uint64_t sums_[most_pages];
};

}  // namespace cow::files

// A version of an arena as something to save: which of its pages may have content, or may differ from another
// version's, and what they hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "books/arena_books.hpp"
#include "files/format.hpp"

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

  static constexpr std::uint64_t pages_at_once = 64;

  /// At most `pages_at_once`. What is to be written of each: with content, not at all, or as zeros.
  std::span<const PageNews> look(Pages run);
  /// Content of a part of the run that was looked at last.
  std::span<const std::byte> content(std::uint64_t first, std::uint64_t count) const noexcept;

 private:
  Version& version_;
  Version* since_;
  std::string doing_;
  std::vector<std::byte> now_, then_;
  PageNews news_[pages_at_once];
};

}  // namespace cow::files

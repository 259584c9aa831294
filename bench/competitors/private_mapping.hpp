// Competitor: a MAP_PRIVATE mapping of a memfd. The file is the snapshot; taking one writes the pages that
// changed into the file and drops the private copies. Which pages those are it is told for free.
#pragma once

#include "competitors/competitor.hpp"
#include "competitors/memory.hpp"

namespace bench {

class PrivateMapping {
 public:
  static constexpr std::string_view label = "MAP_PRIVATE on a memfd";
  static constexpr bool drop_counts = true, many = false;

  explicit PrivateMapping(std::size_t bytes)
      : file_(bytes), heap_(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file_.descriptor()) {}

  std::byte* data() noexcept { return heap_.data(); }
  void drop() {}
  void settle() {}

  void snapshot(std::span<const Page> written) {
    const std::size_t page_bytes = cow::page_size();
    for (const Page page : written) {
      std::byte* const address = heap_.data() + page * page_bytes;
      const auto offset = static_cast<off_t>(page * page_bytes);
      if (::pwrite(file_.descriptor(), address, page_bytes, offset) < 0) throw_errno("pwrite to a memfd");
      ::madvise(address, page_bytes, MADV_DONTNEED);
    }
  }

  std::uint64_t old_word(Page page) const {
    std::uint64_t word = 0;
    if (::pread(file_.descriptor(), &word, sizeof word, static_cast<off_t>(word_offset(page))) < 0) {
      throw_errno("pread of a memfd");
    }
    return word;
  }

 private:
  MemoryFile file_;
  Mapping heap_;
};
static_assert(Competitor<PrivateMapping>);

}  // namespace bench

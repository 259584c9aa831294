// Rollback competitor: MAP_PRIVATE over a memfd that holds the saved content; MADV_DONTNEED of each run written
// throws the private copies away.
#pragma once

#include <cstring>

#include "competitors/memory.hpp"
#include "competitors/restorer.hpp"

namespace bench {

class RestorePrivate {
 public:
  static constexpr std::string_view label = "MAP_PRIVATE, MADV_DONTNEED";

  explicit RestorePrivate(std::size_t bytes)
      : file_(bytes), heap_(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file_.descriptor()) {}

  std::byte* data() noexcept { return heap_.data(); }
  void save() {
    const Mapping file(heap_.size(), PROT_READ | PROT_WRITE, MAP_SHARED, file_.descriptor());
    std::memcpy(file.data(), heap_.data(), heap_.size());
    ::madvise(heap_.data(), heap_.size(), MADV_DONTNEED);
  }
  void restore(std::span<const Page> pages) {
    const std::size_t page_bytes = cow::page_size();
    for (std::size_t i = 0; i < pages.size();) {
      std::size_t end = i + 1;
      while (end < pages.size() && pages[end] == pages[end - 1] + 1) ++end;
      if (::madvise(heap_.data() + pages[i] * page_bytes, (end - i) * page_bytes, MADV_DONTNEED) != 0) {
        throw_errno("madvise");
      }
      i = end;
    }
  }

 private:
  MemoryFile file_;
  Mapping heap_;
};
static_assert(Restorer<RestorePrivate>);

}  // namespace bench

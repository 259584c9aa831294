// Rollback competitor, and the floor: memcpy of exactly the pages written, from a copy.
#pragma once

#include <cstring>

#include "competitors/memory.hpp"
#include "competitors/restorer.hpp"

namespace bench {

class RestoreByCopy {
 public:
  static constexpr std::string_view label = "memcpy of the pages";

  explicit RestoreByCopy(std::size_t bytes) : heap_(anonymous_memory(bytes)), saved_(anonymous_memory(bytes)) {}

  std::byte* data() noexcept { return heap_.data(); }
  void save() { std::memcpy(saved_.data(), heap_.data(), heap_.size()); }
  void restore(std::span<const Page> pages) {
    const std::size_t page_bytes = cow::page_size();
    for (const Page page : pages) {
      std::memcpy(heap_.data() + page * page_bytes, saved_.data() + page * page_bytes, page_bytes);
    }
  }

 private:
  Mapping heap_, saved_;
};
static_assert(Restorer<RestoreByCopy>);

}  // namespace bench

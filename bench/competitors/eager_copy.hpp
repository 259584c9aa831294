// Competitor: copy everything at each snapshot. The copy's memory is kept from one snapshot to the next.
#pragma once

#include <cstring>

#include "competitors/competitor.hpp"
#include "competitors/memory.hpp"

namespace bench {

class EagerCopy {
 public:
  static constexpr std::string_view label = "eager memcpy";
  static constexpr bool drop_counts = true, many = false;

  explicit EagerCopy(std::size_t bytes) : heap_(anonymous_memory(bytes)), copy_(anonymous_memory(bytes)) {}

  std::byte* data() noexcept { return heap_.data(); }
  void drop() {}
  void settle() {}
  void snapshot(std::span<const Page>) { std::memcpy(copy_.data(), heap_.data(), heap_.size()); }
  std::uint64_t old_word(Page page) const { return load_word(copy_.data(), page); }

 private:
  Mapping heap_, copy_;
};
static_assert(Competitor<EagerCopy>);

}  // namespace bench

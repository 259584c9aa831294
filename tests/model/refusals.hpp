// The kernel refuses some of the calls that an operation makes, as the byte source decides. What decides when the
// engine asks for what lies outside an operation: nothing is refused then.
#pragma once

#include "kernel/os.hpp"
#include "model/byte_source.hpp"

namespace cow::model {

/// While it lives: one call fails, or some, or all.
class Refusals {
 public:
  explicit Refusals(ByteSource& choice) {
    const std::size_t kind = choice.below(8);
    if (kind < 2) return;  // none
    if (kind < 5) {
      os::fail_after(static_cast<std::int64_t>(choice.between(1, kind == 2 ? 40 : 8)));
    } else {
      constexpr std::uint64_t one_in[] = {1, 2, 5, 12};
      os::fail_by_chance(choice.below(256) * 0x100000001b3U, one_in[choice.below(4)]);
    }
  }
  Refusals(const Refusals&) = delete;
  Refusals& operator=(const Refusals&) = delete;
  ~Refusals() {
    os::fail_after(0);
    os::fail_by_chance(0, 0);
  }
};

}  // namespace cow::model

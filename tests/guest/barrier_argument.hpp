// Bodies of their own process that run under each barrier: its name is their argument.
#pragma once

#include <string>

#include "support/barriers.hpp"
#include "support/child.hpp"

namespace cow::test {

inline Barrier barrier_named(const std::string& argument) {
  if (argument.starts_with("mprotect")) return Barrier::mprotect;
  return argument.starts_with("kernel") ? Barrier::kernel : Barrier::userfaultfd;
}

inline Arena arena_under(const std::string& barrier, std::size_t pages, std::string name = "guest") {
  return Arena(options_for(barrier_named(barrier), pages, std::move(name)));
}

/// A suite whose tests run a body under each barrier.
class GuestTest : public BarrierTest {
 protected:
  static ChildResult run(const std::string& body) { return run_child(body, name_of(GetParam())); }
};

}  // namespace cow::test

#define EXPECT_BODY_PASSES(body)                 \
  do {                                           \
    const auto outcome = run(body);              \
    EXPECT_TRUE(outcome.exited_with(0)) << outcome.how(); \
  } while (false)

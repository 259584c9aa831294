// On what a result was measured. Every file of results names it.
#pragma once

#include <string>

namespace bench {

struct Machine {
  std::string processor, kernel, compiler, memory;
  unsigned cores = 0;

  /// One line.
  std::string text() const;
};

Machine this_machine();

}  // namespace bench

// The bars that the library is held to, and how far a run's results are from them. Prints nothing.
#pragma once

#include <string>
#include <vector>

#include "results.hpp"

namespace bench {

struct Figure {
  std::string what;      ///< what is measured
  std::string bar;       ///< what is asked, in words
  std::string measured;  ///< both sides of the comparison
  double value = 0;      ///< the ratio or the amount; NaN if this run did not measure it
  double limit = 0;
  bool at_least = false;  ///< else at most

  bool pass() const noexcept { return at_least ? value >= limit : value <= limit; }
};

std::vector<Figure> figures(const Results& results);

}  // namespace bench

// What is compared with what, in each mode. Runs nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "setting.hpp"

namespace bench {

enum class Mode {
  smoke,    ///< seconds: each competitor once, at toy sizes, for the tests
  quick,    ///< under a minute: the axes at small sizes
  figures,  ///< minutes: what the bars need, at their sizes
  full,     ///< everything
};

struct Entry {
  std::string_view competitor;
  Setting setting;
  unsigned cycles;  ///< back to back in one round
};

/// What is measured together, interleaved in random order.
struct Stage {
  std::string title;
  std::vector<Entry> entries;
  unsigned rounds;
};

std::vector<Stage> make_plan(Mode mode);

/// The settings that figures and plots ask for by name.
namespace settings {
Setting cycle(std::size_t bytes, std::size_t writes, Pattern pattern);
Setting threads(unsigned count);
Setting alive(unsigned count);
Setting clone(std::size_t writes);
Setting what_if(std::size_t bytes, std::size_t writes, unsigned copies);
Setting rollback_loop();
Setting rollback(std::size_t writes);
Setting map();
Setting books(std::size_t pages);
Setting million(std::size_t writes);
Setting anatomy();
}  // namespace settings

}  // namespace bench

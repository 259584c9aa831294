// What a run goes on under besides its seed: the barrier, a budget of mappings, and a kernel that refuses. Words of it
// name tests and go from the parent to the children that run seeds.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "cow/cow.hpp"

namespace cow::model {

struct Setting {
  std::optional<Barrier> barrier;  // none: families have this or that
  std::uint64_t budget = 0;        // of mappings, for the process; 0: what it has
  bool refusals = false;           // of kernel calls, at random, while operations of the engine run
  bool huge_pages = false;         // behind the arenas' files, now here, now there
  bool files = false;              // versions are saved, and loaded as arenas of families of their own
};

inline std::string name_of(const Setting& setting) {
  std::string name = !setting.barrier                         ? "either_barrier"
                     : *setting.barrier == Barrier::mprotect ? "mprotect"
                     : *setting.barrier == Barrier::kernel   ? "kernel"
                                                             : "userfaultfd";
  if (setting.budget != 0) name += "_with_" + std::to_string(setting.budget) + "_mappings";
  if (setting.huge_pages) name += "_and_huge_pages";
  if (setting.files) name += "_and_files";
  if (setting.refusals) name += "_and_refusals";
  return name;
}
inline void PrintTo(const Setting& setting, std::ostream* out) { *out << name_of(setting); }

/// As one word, and back.
inline std::string packed(const Setting& setting) {
  const int barrier = setting.barrier ? static_cast<int>(*setting.barrier) : -1;
  return std::to_string(barrier) + ',' + std::to_string(setting.budget) + ',' + (setting.refusals ? '1' : '0') +
         (setting.huge_pages ? '1' : '0') + (setting.files ? '1' : '0');
}
inline Setting unpacked(const std::string& word) {
  Setting setting;
  const std::size_t first = word.find(','), second = word.find(',', first + 1);
  if (const int barrier = std::stoi(word); barrier >= 0) setting.barrier = static_cast<Barrier>(barrier);
  setting.budget = std::stoull(word.substr(first + 1));
  setting.refusals = word.at(second + 1) == '1';
  setting.huge_pages = word.at(second + 2) == '1';
  setting.files = word.at(second + 3) == '1';
  return setting;
}

}  // namespace cow::model

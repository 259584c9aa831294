// What elfutils' libdw knows of an address. It is loaded when first needed, so that no program that
// uses the library depends on it; where it is missing nothing is known.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cow/fault_profile.hpp"

namespace cow {

struct DebugFiles;

class DebugInformation {
 public:
  /// Of this process and what it has loaded now.
  DebugInformation();
  ~DebugInformation();
  DebugInformation(const DebugInformation&) = delete;
  DebugInformation& operator=(const DebugInformation&) = delete;

  /// Innermost first; empty: nothing is known. Modules are left out, and offsets without a function.
  std::vector<CodePlace> places_of(std::uintptr_t address);

 private:
  std::unique_ptr<DebugFiles> files_;
};

}  // namespace cow

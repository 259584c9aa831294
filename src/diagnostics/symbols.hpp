// Which code is at an address: function, file and line, with inlined functions where debug information
// tells. Reads files and allocates: never in the handler.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cow/fault_profile.hpp"

namespace cow {

class DebugInformation;

/// Remembers what it has found out; for one report, as libraries may come and go.
class Symbols {
 public:
  Symbols();
  ~Symbols();
  Symbols(const Symbols&) = delete;
  Symbols& operator=(const Symbols&) = delete;

  /// Innermost first: what is inlined at the address, then the function itself. Never empty.
  const std::vector<CodePlace>& places_of(std::uintptr_t address);

 private:
  std::unique_ptr<DebugInformation> debug_;
  std::unordered_map<std::uintptr_t, std::vector<CodePlace>> known_;
};

/// Names of C++ as people write them; other names as they are.
std::string demangled(const char* name);

/// A function's name without its parameter list.
std::string without_parameters(const std::string& function);

}  // namespace cow

// The command line of cow-file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace cow::tool {

/// Exit codes, as the manual page has them.
inline constexpr int all_well = 0, differs_or_damaged = 1, wrong_use = 2, not_possible = 3;

/// The command line makes no sense.
struct WrongUse : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A file and the layers on it, oldest first.
using Chain = std::vector<std::filesystem::path>;

struct Arguments {
  std::string command;
  std::vector<Chain> chains;  // each argument by itself: FILE[,LAYER...]
  std::filesystem::path output;
  std::string note;
  std::uint64_t offset = 0, bytes = ~std::uint64_t{0};
  int zstd_level = 0;
  bool zstd = false, json = false, quiet = false, sync = true;
};

Arguments parse(int argc, char** argv);

extern const char* const help_text;

}  // namespace cow::tool

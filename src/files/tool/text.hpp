// What cow-file prints: for people or as JSON, and a bar on a terminal while it works.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "cow/save.hpp"

namespace cow::tool {

/// A string in quotes, as JSON has them; what is no UTF-8 is replaced.
std::string json_text(const std::string& text);
std::string hex(const std::array<std::byte, 16>& id);

std::string describe(const std::string& path, const SavedFile& file);
std::string describe_as_json(const std::string& path, const SavedFile& file);

/// On standard error, where that is a terminal.
class Bar {
 public:
  Bar(std::string title, bool quiet);
  ~Bar();
  Bar(const Bar&) = delete;
  Bar& operator=(const Bar&) = delete;

  void show(std::uint64_t done, std::uint64_t total);

 private:
  std::string title_;
  bool on_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now(), last_ = begin_;
};

}  // namespace cow::tool

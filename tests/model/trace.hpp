// The readable record of a run: one line for each operation; shown when it fails, or at once on replay.
#pragma once

#include <cstddef>
#include <cstdio>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace cow::model {

/// The engine and the model disagree.
class Mismatch : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void require(bool condition, const char* what) {
  if (!condition) throw Mismatch(what);
}

class Trace {
 public:
  /// `aloud`: each line also goes to standard error at once, which shows the last one before a crash.
  explicit Trace(bool aloud) : aloud_(aloud) {}

  template <class... Parts>
  void line(const Parts&... parts) {
    std::ostringstream text;
    text << lines_.size() << ": ";
    (text << ... << parts);
    lines_.push_back(std::move(text).str());
    if (aloud_) std::fprintf(stderr, "%s\n", lines_.back().c_str());
  }

  std::string last_lines(std::size_t count) const {
    std::string text;
    for (std::size_t i = lines_.size() > count ? lines_.size() - count : 0; i < lines_.size(); ++i)
      text += lines_[i] + "\n";
    return text;
  }

 private:
  bool aloud_;
  std::vector<std::string> lines_;
};

}  // namespace cow::model

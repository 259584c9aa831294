// A competitor in a process of its own, so that no one's memory is in another's fork(), no one's handler takes
// another's faults, and all memory returns when it ends. Does not decide what runs when.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "trial.hpp"

namespace bench {

class Worker {
 public:
  /// Starts the process; it prepares and checks the trial at once. Returns when that is done.
  explicit Worker(const TrialMaker& make);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  /// Runs that many cycles back to back: the median of each part. Nothing if the trial has ended; see note().
  std::optional<Sample> round(unsigned cycles);

  bool alive() const noexcept { return alive_; }
  /// The trial's own note, or why it ended.
  const std::string& note() const noexcept { return note_; }
  /// Whether it ended because of a wrong answer.
  bool wrong() const noexcept { return wrong_; }

 private:
  std::optional<Sample> receive();

  pid_t pid_ = -1;
  int commands_ = -1, replies_ = -1;
  bool alive_ = false, wrong_ = false;
  std::string note_;
};

}  // namespace bench

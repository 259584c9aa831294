// The one interface between what is measured and what runs it: a prepared competitor in its own process.
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "measure.hpp"

namespace bench {

/// A competitor prepared for one setting: heap filled, helpers running.
class Trial {
 public:
  Trial() = default;
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;
  virtual ~Trial() = default;

  /// Runs some cycles and compares each answer with what must be there; throws WrongAnswer. Also warms up.
  virtual void check() = 0;
  /// One timed cycle.
  virtual Sample cycle() = 0;
  /// What to print beside the result, such as the barrier in use; may be empty.
  virtual std::string note() const { return {}; }
};

using TrialMaker = std::function<std::unique_ptr<Trial>()>;

/// The competitor showed content that it must not show. Fails the whole run.
struct WrongAnswer : std::logic_error {
  using std::logic_error::logic_error;
};

/// The competitor cannot run here: no permission, not built. Noted in the report, fails nothing.
struct NotAvailable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// For signal handlers of competitors, which cannot throw: ends this trial with a note, keeping what it measured.
[[noreturn]] void give_up(const char* why) noexcept;

}  // namespace bench

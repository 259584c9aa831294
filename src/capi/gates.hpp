// Gates behind handles. One that is closed stays memory of a gate for ever, and is lent out again: an arena that was
// given it, against the rules, then waits for another's updates, and follows no pointer to nowhere.
#pragma once

#include <atomic>
#include <cstdint>

#include "cow/update_gate.hpp"

namespace cow::capi {

struct GatePlace {
  UpdateGate gate;
  std::atomic<std::uint32_t> updating{0};  // so many have begun and not ended
  std::atomic<bool> quiet{false};
  GatePlace* next = nullptr;
};

class LentGate {
 public:
  LentGate();
  LentGate(LentGate&& other) noexcept : place_(other.place_) { other.place_ = nullptr; }
  LentGate& operator=(LentGate&&) = delete;
  ~LentGate();

  UpdateGate& gate() const noexcept { return place_->gate; }

  void begin_updating() const;
  void between_updates() const;
  void end_updating() const;
  void begin_quiet() const;
  void end_quiet() const;

 private:
  GatePlace* place_;
};

/// Throws Refused for a thread that is inside the arena's own gate: a cut would wait for it.
void require_outside(const UpdateGate* of_arena);

}  // namespace cow::capi

// Gates in C: begun and ended by calls, which know what was never begun.
#include "capi/gates.hpp"

#include <cerrno>

#include "capi/objects.hpp"
#include "cow/cow.h"

/// What the objects of C++ do when they begin and end.
struct cow::detail::GateCalls {
  static void enter(UpdateGate& gate) noexcept {
    gate.enter();
    gate.updating_.put(&gate);
  }
  /// What another thread began may be ended too: which one's that was cannot be known, if there are some.
  static void leave(UpdateGate& gate) noexcept {
    gate.updating_.take_one_out();
    gate.leave();
  }
  static void close(UpdateGate& gate) noexcept { gate.close(); }
  static void open(UpdateGate& gate) noexcept { gate.open(); }
  static bool nobody_wants_quiet(const UpdateGate& gate) noexcept { return gate.nobody_wants_quiet(); }
};

using cow::detail::GateCalls;
using cow::detail::GateInside;

namespace cow::capi {

namespace {

/// Without a lock, which fork() could leave held. Who takes one takes all and puts back the rest: whoever looks
/// meanwhile finds none and makes one more.
class GatePlaces {
 public:
  void put(GatePlace* first) noexcept {
    if (first == nullptr) return;
    GatePlace* last = first;
    while (last->next != nullptr) last = last->next;
    last->next = first_.load(std::memory_order_relaxed);
    while (!first_.compare_exchange_weak(last->next, first, std::memory_order_acq_rel)) continue;
  }

  GatePlace* take() noexcept {
    GatePlace* const first = first_.exchange(nullptr, std::memory_order_acq_rel);
    if (first == nullptr) return nullptr;
    put(first->next);
    first->next = nullptr;
    return first;
  }

 private:
  std::atomic<GatePlace*> first_{nullptr};
};

constinit GatePlaces idle_places;
constinit GatePlaces left_in_use;  // closed while somebody was inside: never lent out again

/// A thread that would wait for itself.
void require_outside(bool outside, const char* what) {
  if (!outside) throw Refused(what, EDEADLK);
}

void require_begun(bool begun, const char* what) {
  if (!begun) throw Refused(what, EPERM);
}

}  // namespace

void require_outside(const UpdateGate* gate) {
  if (gate == nullptr) return;
  require_outside(!GateInside::updates(*gate),
                  "this thread is inside an update at the arena's own gate, for whose end this would wait: "
                  "cow_gate_end_updating() first");
  require_outside(!GateInside::has_quiet(*gate),
                  "this thread has quiet at the arena's own gate, whose end this would wait for, and which the arena "
                  "takes by itself: cow_gate_end_quiet() first");
}

LentGate::LentGate() : place_(idle_places.take()) {
  if (place_ == nullptr) place_ = new GatePlace;
}

LentGate::~LentGate() {
  if (place_ == nullptr) return;
  const bool idle = place_->updating.load(std::memory_order_acquire) == 0 && !place_->quiet;
  (idle ? idle_places : left_in_use).put(place_);
}

void LentGate::begin_updating() const {
  require_outside(!GateInside::has_quiet(place_->gate),
                  "this thread has quiet, and would wait for itself: cow_gate_end_quiet() first");
  GateCalls::enter(place_->gate);
  place_->updating.fetch_add(1, std::memory_order_relaxed);
}

void LentGate::between_updates() const {
  if (GateCalls::nobody_wants_quiet(place_->gate)) return;
  end_updating();
  begin_updating();
}

void LentGate::end_updating() const {
  std::uint32_t updating = place_->updating.load(std::memory_order_relaxed);
  do {
    require_begun(updating != 0, "no update has begun: cow_gate_begin_updating() first");
  } while (!place_->updating.compare_exchange_weak(updating, updating - 1, std::memory_order_release));
  GateCalls::leave(place_->gate);
}

void LentGate::begin_quiet() const {
  require_outside(!GateInside::has_quiet(place_->gate), "this thread has quiet already: cow_gate_end_quiet() first");
  require_outside(!GateInside::updates(place_->gate),
                  "this thread is inside an update, and would wait for itself: cow_gate_end_updating() first");
  GateCalls::close(place_->gate);
  place_->quiet.store(true, std::memory_order_relaxed);
}

void LentGate::end_quiet() const {
  require_begun(place_->quiet.exchange(false, std::memory_order_relaxed),
                "nobody has quiet: cow_gate_begin_quiet() first");
  GateCalls::open(place_->gate);
}

}  // namespace cow::capi

using namespace cow::capi;

int cow_gate_open(cow_gate** gate) noexcept {
  return opening(__func__, gate, [] { return LentGate(); });
}

void cow_gate_close(cow_gate* gate) noexcept { close(gate); }

int cow_gate_begin_updating(cow_gate* gate) noexcept {
  return guarded(__func__, [gate] { use(gate).begin_updating(); });
}

int cow_gate_between_updates(cow_gate* gate) noexcept {
  return guarded(__func__, [gate] { use(gate).between_updates(); });
}

int cow_gate_end_updating(cow_gate* gate) noexcept {
  return guarded(__func__, [gate] { use(gate).end_updating(); });
}

int cow_gate_begin_quiet(cow_gate* gate) noexcept {
  return guarded(__func__, [gate] { use(gate).begin_quiet(); });
}

int cow_gate_end_quiet(cow_gate* gate) noexcept {
  return guarded(__func__, [gate] { use(gate).end_quiet(); });
}

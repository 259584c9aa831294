// What every public operation begins with, and how errors become exceptions.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>

#include "books/arena_books.hpp"
#include "cow/arena.hpp"
#include "cow/snapshot.hpp"
#include "cow/update_gate.hpp"
#include "cow/view.hpp"
#include "faults/registry.hpp"
#include "kernel/fork_gate.hpp"
#include "kernel/os.hpp"
#include "kernel/other_stack.hpp"
#include "words/amounts.hpp"

namespace cow {

namespace detail {

/// What lies behind the public objects.
struct Access {
  static ArenaBooks* books(const Arena& arena) noexcept { return arena.books_; }
  static Arena arena(ArenaBooks* books) noexcept { return Arena(books); }
  static Version* version(const Snapshot& snapshot) noexcept { return snapshot.version_; }
  static Snapshot snapshot(Version* counted) noexcept { return Snapshot(counted); }
  static View view(MappedView* mapped) noexcept { return View(mapped); }
};

}  // namespace detail

using detail::Access;

/// Under one hold of the fault lock or the file's: others' faults wait for it.
inline constexpr std::uint64_t pages_at_once = 512;

inline bool of_this_process(const ArenaBooks& books) noexcept { return books.generation == os::process_generation(); }

constexpr const char* no_arena = "the Arena was moved from; use the one that it was moved to";
constexpr const char* no_arena_ref = "the ArenaRef is empty; Arena::ref() makes one";
constexpr const char* no_snapshot = "the Snapshot is empty or was moved from; Arena::snapshot() makes one";

/// The arena that the caller's stack lies in, or null. That arena cannot go meanwhile, nor its slot change: no lock.
[[gnu::always_inline]] inline const ArenaBooks* arena_of_this_stack() noexcept COW_HELD_UNCHECKED {
  const FaultSlot* const slot = fault_registry::find(__builtin_frame_address(0));
  return slot == nullptr ? nullptr : slot->books;
}

/// Whether the caller's stack lies in the arena, or in one of its family, which the file's lock is common to: it must
/// not be protected, nor be faulted on, while locks are held.
[[gnu::always_inline]] inline bool on_stack_inside(const ArenaBooks& books) noexcept {
  const ArenaBooks* const around = arena_of_this_stack();
  return around != nullptr && &around->family == &books.family;
}

/// The books behind an object; throws std::logic_error for an empty one, which `what_is_wrong` tells, in a fork()
/// child, or on a stack inside its family.
inline ArenaBooks& usable(ArenaBooks* books, const char* operation, const char* what_is_wrong = no_arena) {
  if (books == nullptr) throw std::logic_error(std::string("cow: ") + operation + ": " + what_is_wrong);
  if (!of_this_process(*books)) {
    throw std::logic_error(std::string("cow: ") + operation +
                           " in a fork() child: the arena belongs to the parent; make one here");
  }
  if (on_stack_inside(*books)) {
    throw std::logic_error(std::string("cow: ") + operation +
                           " on a stack inside the arena's family; call it on an ordinary one, such as a scheduler's");
  }
  return *books;
}

inline Version& usable(Version* version, const char* operation) {
  usable(version == nullptr ? nullptr : &version->books, operation, no_snapshot);
  return *version;
}

/// What to do about an error whose own text does not say it.
inline const char* remedy(os::Error error) noexcept {
  switch (error.code) {
    case EBADF: return "; the program has closed descriptors that it did not open, those of its arenas";
    case EFBIG: return "; RLIMIT_FSIZE (ulimit -f) holds for memory files too: raise it before an arena is made";
    case EFAULT:
    case EIO: return "; a saved file that the arena is mapped from was cut short, or cannot be read";
    case EAGAIN: return "; RLIMIT_MEMLOCK (ulimit -l) is too low for what mlockall(MCL_FUTURE) asks for";
    default: return "";
  }
}

/// `what`: a text, or what makes one, called only when it is needed.
template <class What>
void throw_if(os::Error error, const What& what) {
  if (!error) return;
  if constexpr (std::is_invocable_v<const What&>) {
    throw std::system_error(error.code, std::generic_category(), "cow: " + what() + remedy(error));
  } else {
    throw std::system_error(error.code, std::generic_category(), "cow: " + std::string(what) + remedy(error));
  }
}

/// Says so where memory was refused because the process may not have that many mappings more.
inline std::string for_want_of_mappings(os::Error error, std::uint64_t needed) {
  const std::uint64_t limit = os::mapping_limit(), used = MappingBudget::used.load(std::memory_order_relaxed);
  if (error.code != ENOMEM || used + needed <= limit) return "";
  return ", which lies in " + counted(needed, "mapping") + "; vm.max_map_count allows " + std::to_string(limit) +
         " in all, of which arenas and views have " + std::to_string(used);
}

/// "1 byte", "65536 bytes", "3221225472 bytes (3.0 GiB)".
inline std::string in_bytes(std::size_t bytes) {
  const std::string exact = counted(bytes, "byte");
  return bytes >> 30 == 0 ? exact : exact + " (" + readable_bytes(bytes) + ")";
}

/// Makes what is going to be used of a stack inside an arena writable, and what is in use of it near here.
[[gnu::noinline]] inline void open_stack_ahead(const ArenaBooks& around) noexcept {
  constexpr std::ptrdiff_t used_at_most = 32 * 1024, in_use = 8 * 1024;
  std::byte* const here = static_cast<std::byte*>(__builtin_frame_address(0));
  const std::ptrdiff_t below = here - around.base, above = around.base + around.bytes(around.pages) - here;
  os::open_by_faults(here - std::min(used_at_most, below), here + std::min(in_use, above));
}

/// For what ends wherever its last owner is, as destructors may: calls f() on another stack where this one lies in an
/// arena, whose pages must not be faulted on under the locks that f() takes. Without memory for that it opens them
/// first; then they stay so unless somebody takes a snapshot of that arena meanwhile.
template <class F>
void on_ordinary_stack(F&& f) noexcept {
  const ArenaBooks* const around = arena_of_this_stack();
  if (around == nullptr) [[likely]] return f();
  if (call_on_other_stack([](void* call) noexcept { (*static_cast<std::remove_reference_t<F>*>(call))(); }, &f)) return;
  open_stack_ahead(*around);
  f();
}

/// Holds the operation mutex, with asynchronous signals blocked, as the locks taken inside need it. Waits at the gate
/// of a fork().
class COW_HOLDER Operation {
 public:
  explicit Operation(ArenaBooks& books) noexcept COW_TAKES(held::signals, held::operation) : mutex_(books.operation) {
    fork_gate::pass(mutex_);
  }
  /// Where they are blocked already, and for longer.
  Operation(ArenaBooks& books, const os::AsyncSignalsBlocked&) noexcept COW_TAKES(held::operation)
      : mutex_(books.operation) {
    fork_gate::pass(mutex_);
  }
  ~Operation() COW_LETS_GO { mutex_.unlock(); }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

 private:
  os::AsyncSignalsBlocked blocked_;
  std::mutex& mutex_;
};

/// Holds the operation mutex where asynchronous signals are blocked already, and the stack is an ordinary one.
class COW_HOLDER OperationHeld {
 public:
  explicit OperationHeld(ArenaBooks& books) noexcept COW_TAKES(held::operation) : mutex_(books.operation) {
    mutex_.lock();
  }
  ~OperationHeld() COW_LETS_GO { mutex_.unlock(); }
  OperationHeld(const OperationHeld&) = delete;
  OperationHeld& operator=(const OperationHeld&) = delete;

 private:
  std::mutex& mutex_;
};

/// A cut takes a Quiet of the arena's gate, for which a thread that is inside one itself would wait for ever.
inline void require_outside_gate(const ArenaBooks& books, const char* operation) {
  using detail::GateInside;
  if (books.gate == nullptr) return;
  const bool updates = GateInside::updates(*books.gate);
  if (!updates && !GateInside::has_quiet(*books.gate)) return;
  throw std::logic_error(std::string("cow: ") + operation + " of arena \"" + books.name + "\" by a thread that is " +
                      (updates ? "inside an update at" : "holding quiet at") +
                      " the arena's own gate, for whose end it would wait, for ever; " +
                      (updates ? "end the update first" : "the arena takes quiet by itself: end yours first"));
}

/// Keeps whatever must not be cut in half whole while a cut is made. Taken before the operation mutex; a signal handler
/// that came in between and forks would wait for its own thread.
class Cut {
 public:
  Cut(ArenaBooks& books, const char* operation) : books_((require_outside_gate(books, operation), books)) {
    if (books.gate != nullptr) quiet_.emplace(*books.gate);
    {
      const OperationHeld held(books);
      hook_ = books.hook;
    }
    if (hook_ != nullptr) hook_->before_cut();
  }
  /// Under the operation mutex, beside others who may write: whether the arena has no other hook. Else one has come
  /// meanwhile, who knows nothing of this cut and may be in the middle of something: begin again.
  bool has_its_hook() const noexcept COW_IN_OPERATION { return hook_ == books_.hook; }
  ~Cut() {
    books_.cuts.fetch_add(1, std::memory_order_release);
    if (hook_ != nullptr) hook_->after_cut();
  }
  Cut(const Cut&) = delete;
  Cut& operator=(const Cut&) = delete;

 private:
  os::AsyncSignalsBlocked blocked_;
  ArenaBooks& books_;
  std::optional<UpdateGate::Quiet> quiet_;  // where the arena was given a gate: no update is under way
  std::shared_ptr<CutHook> hook_;
};

}  // namespace cow

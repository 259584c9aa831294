// Handing faults on. See faults/chain.hpp.
#include "faults/chain.hpp"

#include <ucontext.h>

#include <atomic>
#include <cstring>

#include "faults/context.hpp"
#include "kernel/os.hpp"

namespace cow {
namespace {

/// One that was there before us. Written before it is published; after that only the handler itself may change.
struct Predecessor {
  struct sigaction action;
  std::atomic<bool> spent{false};  // it wanted to be called once only (SA_RESETHAND)
};

/// The first one, and those on top of which we were put back later. A thread may be reading one while another is
/// published: a place is used again only after all others were.
class Predecessors {
 public:
  void add(const struct sigaction& action) noexcept {
    Predecessor& last = newest();
    if (count_.load(std::memory_order_relaxed) != 0 && same(last.action, action)) {
      last.spent.store(false, std::memory_order_relaxed);
      return;
    }
    const unsigned count = count_.load(std::memory_order_relaxed);
    const unsigned index = count < places ? count : 1 + (count - 1) % (places - 1);  // the first stays
    places_[index].action = action;
    places_[index].spent.store(false, std::memory_order_relaxed);
    newest_.store(&places_[index], std::memory_order_release);
    count_.store(count + 1, std::memory_order_relaxed);
  }
  Predecessor& newest() noexcept { return *newest_.load(std::memory_order_acquire); }
  Predecessor& first() noexcept { return places_[0]; }

 private:
  static constexpr unsigned places = 8;

  /// One that is put in place and taken away again and again must not use the places up.
  static bool same(const struct sigaction& a, const struct sigaction& b) noexcept {
    return a.sa_flags == b.sa_flags && std::memcmp(&a.sa_mask, &b.sa_mask, sizeof a.sa_mask) == 0 &&
           ((a.sa_flags & SA_SIGINFO) != 0 ? a.sa_sigaction == b.sa_sigaction : a.sa_handler == b.sa_handler);
  }

  Predecessor places_[places] = {};
  std::atomic<Predecessor*> newest_{&places_[0]};
  std::atomic<unsigned> count_{0};
};

Predecessors for_segv, for_bus;

Predecessors& predecessors(int signo) noexcept { return signo == SIGBUS ? for_bus : for_segv; }

/// Lies in the frame of pass_on() for as long as that is there. More than a word: deeper calls that come later
/// overwrite what they use of the stack, and leave holes.
struct Mark {
  static constexpr std::size_t words = 64;
  volatile std::uint64_t word[words];

  Mark() noexcept {
    for (std::size_t i = 0; i < words; ++i) word[i] = value_of(i);
  }
  ~Mark() = default;  // not the place to wipe it: an exception of whoever was called would be caught here on its way
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;

  std::uint64_t value_of(std::size_t i) const noexcept {
    return reinterpret_cast<std::uintptr_t>(&word[i]) ^ 0x9e3779b97f4a7c15U;
  }
  /// Also where it is gone, and the stack may be gone too.
  __attribute__((no_sanitize("address"))) __attribute__((no_sanitize("thread"))) bool is_there() const noexcept {
    for (const std::size_t i : {std::size_t{0}, words - 1}) {
      if (!os::can_write(const_cast<std::uint64_t*>(&word[i]))) return false;
    }
    for (std::size_t i = 0; i < words; ++i) {
      if (word[i] != value_of(i)) return false;
    }
    return true;
  }
};

/// A fault that this thread is handing on: the kernel's record of it, and where our handler's frame was. Initial-exec:
/// a thread-local of another kind might be created here, by malloc.
struct HandedOn {
  const void* ucontext = nullptr;
  const void* frame = nullptr;
  int times_back = 0;  // it came back from who got it
  const Mark* mark = nullptr;
};
[[gnu::tls_model("initial-exec")]] constinit thread_local HandedOn handed_on;

/// Whether the one we handed the last fault to is still at work. One that jumped out leaves a mark that has been
/// overwritten where the stack has been that deep since; the stack itself may be gone. What lies below the stack that
/// was interrupted now is gone for sure, though it may be whole: the kernel leaves a hole of some KiB in its own frame
/// for this signal (aarch64).
bool is_at_work(const void* ucontext) noexcept {
  const os::ErrnoKept kept;
  return interrupted_stack(ucontext) <= reinterpret_cast<std::uintptr_t>(handed_on.mark) && handed_on.mark->is_there();
}

bool sent_by_someone(const siginfo_t* info) noexcept { return info->si_code <= 0; }

/// Raised again by the one we handed it to, who has put us back before and takes itself for gone: test frameworks do.
bool raised_again(const siginfo_t* info) noexcept {
  return sent_by_someone(info) && info->si_pid == os::process_id();
}

/// Whether the one we handed this fault to has handed it back: it keeps us for its own predecessor, since we were put
/// back in place after it came. One that jumped out of its handler leaves `handed_on` behind; a later fault has another
/// record, or the same place for it and then also the same for our frame: only inside the same fault we are called from
/// deeper.
bool comes_back(const siginfo_t* info, const void* ucontext, const void* frame) noexcept {
  if (handed_on.ucontext == nullptr || frame >= handed_on.frame) return false;
  return handed_on.ucontext == ucontext || (raised_again(info) && is_at_work(ucontext));
}

/// The default action, as if we had not been there: the instruction faults again, and the core dump shows it. A signal
/// that someone sent does not come again by itself.
void do_default(int signo, const siginfo_t* info, const struct sigaction& previous) noexcept {
  if (previous.sa_handler == SIG_IGN && sent_by_someone(info)) return;
  (void)os::set_action(signo, &previous, nullptr);
  if (sent_by_someone(info)) os::raise_in_this_thread(signo);
}

/// The mask that the kernel would have set for it: what was blocked where the signal came, and what it asked for.
/// Nothing of what our own handler blocks, since it may leave by a jump or an exception.
std::uint64_t mask_for(int signo, const void* ucontext, const struct sigaction& action) noexcept {
  std::uint64_t interrupted = 0, asked_for = 0;  // the kernel's sets are of this size
  std::memcpy(&interrupted, &static_cast<const ucontext_t*>(ucontext)->uc_sigmask, sizeof interrupted);
  std::memcpy(&asked_for, &action.sa_mask, sizeof asked_for);
  const std::uint64_t itself = (action.sa_flags & SA_NODEFER) != 0 ? 0 : std::uint64_t{1} << (signo - 1);
  return interrupted | asked_for | itself;
}

/// As the kernel would have called it. Where it returns, the mask from before is back: it may not be the kernel that
/// called us.
void call(int signo, siginfo_t* info, void* ucontext, const struct sigaction& action) {
  const std::uint64_t before = os::set_signal_mask(mask_for(signo, ucontext, action));
  if ((action.sa_flags & SA_SIGINFO) != 0) {
    action.sa_sigaction(signo, info, ucontext);
  } else {
    action.sa_handler(signo);
  }
  (void)os::set_signal_mask(before);
}

bool is_handler(const struct sigaction& action) noexcept {
  return (action.sa_flags & SA_SIGINFO) != 0 || (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

}  // namespace

void remember_previous(int signo, const struct sigaction& action) noexcept { predecessors(signo).add(action); }

void pass_on(int signo, siginfo_t* info, void* ucontext, const void* frame) {
  const HandedOn outer = handed_on;
  const int times_back = comes_back(info, ucontext, frame) ? outer.times_back + 1 : 0;
  Predecessor& to = times_back == 0 ? predecessors(signo).newest() : predecessors(signo).first();
  if (!is_handler(to.action)) return do_default(signo, info, to.action);
  const bool once = (static_cast<unsigned>(to.action.sa_flags) & SA_RESETHAND) != 0;
  if (times_back > 1 || (once && to.spent.exchange(true))) {
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    return do_default(signo, info, by_default);
  }
  Mark mark;
  handed_on = {ucontext, times_back == 0 ? frame : outer.frame, times_back, &mark};
  call(signo, info, ucontext, to.action);
  mark.word[0] = 0;
  handed_on = outer;
}

}  // namespace cow

// See fault_recorder.hpp. Runs in the signal handler.
#include "diagnostics/fault_recorder.hpp"

#include <ucontext.h>

#include <algorithm>
#include <cstring>

#include "books/arena_books.hpp"
#include "diagnostics/unwinder.hpp"

namespace cow::fault_recorder {
namespace {

std::atomic<RecordedFaults*> recording{nullptr};
std::atomic<std::uint32_t> inside{0};  // handlers that may be using it

struct CallStack {
  std::uintptr_t frames[most_recorded_frames];
  std::uint32_t count = 0;
  bool cut = false;
};

void take_interrupted_instruction(void* ucontext, CallStack& stack) noexcept {
  const mcontext_t& machine = static_cast<const ucontext_t*>(ucontext)->uc_mcontext;
#if defined(__x86_64__)
  stack.frames[stack.count++] = static_cast<std::uintptr_t>(machine.gregs[REG_RIP]);
#else
  stack.frames[stack.count++] = static_cast<std::uintptr_t>(machine.pc);
#endif
}

#if COW_WITH_LIBUNWIND

/// The context of a signal starts with the interrupted instruction, not with a return address. libunwind takes the
/// kernel's ucontext for its own on the machines that the library knows (libunwind(3), unw_init_local2).
void unwind(unw_context_t* context, int flags, CallStack& stack) noexcept {
  unw_cursor_t cursor;
  if (libunwind.unw_init_local2(&cursor, context, flags) != 0) return;
  do {
    if (stack.count == most_recorded_frames) {
      stack.cut = true;
      return;
    }
    unw_word_t ip = 0;
    if (libunwind.unw_get_reg(&cursor, UNW_REG_IP, &ip) != 0 || ip == 0) return;
    stack.frames[stack.count++] = static_cast<std::uintptr_t>(ip);
  } while (libunwind.unw_step(&cursor) > 0);
}

void unwind(void* ucontext, CallStack& stack) noexcept {
  if (!libunwind.complete) return take_interrupted_instruction(ucontext, stack);
  unwind(static_cast<unw_context_t*>(ucontext), UNW_INIT_SIGNAL_FRAME, stack);
}

#else

void unwind(void* ucontext, CallStack& stack) noexcept { take_interrupted_instruction(ucontext, stack); }

#endif

std::uint64_t mix(std::uint64_t hash, std::uint64_t word) noexcept {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15;  // 2^64 / the golden ratio
  return hash ^ hash >> 29;
}

std::uint64_t hash_of(const CallStack& stack, const ArenaBooks& books) noexcept {
  std::uint64_t hash = stack.count;
  for (std::uint32_t i = 0; i < stack.count; ++i) hash = mix(hash, stack.frames[i]);
  for (std::size_t i = 0; i < sizeof books.name; i += sizeof(std::uint64_t)) {
    std::uint64_t letters;
    std::memcpy(&letters, books.name + i, sizeof letters);
    hash = mix(hash, letters);
  }
  return std::max<std::uint64_t>(hash, 1);
}

void fill_in(RecordedStack& slot, const CallStack& stack, const ArenaBooks& books) noexcept {
  static_assert(sizeof slot.arena == sizeof books.name);
  std::memcpy(slot.arena, books.name, sizeof slot.arena);
  std::memcpy(slot.frames, stack.frames, stack.count * sizeof stack.frames[0]);
  slot.frame_count = stack.count;
  slot.cut = stack.cut ? 1 : 0;
  std::atomic_ref(slot.filled).store(1, std::memory_order_release);
}

bool may_take_a_slot(RecordedFaults& faults) noexcept {
  if (add_to(faults.stacks, 1) < faults.most_stacks) return true;
  std::atomic_ref(faults.stacks).fetch_sub(1, std::memory_order_relaxed);
  return false;
}

/// The slot of the stack, taken for it if it has none; null: there is no place.
RecordedStack* slot_for(RecordedFaults& faults, const CallStack& stack, const ArenaBooks& books) noexcept {
  const std::uint64_t hash = hash_of(stack, books);
  bool granted = false;
  // At least half of the slots are never taken, so this ends.
  for (std::uint64_t at = hash;; ++at) {
    RecordedStack& slot = faults.slots()[at & (faults.slot_count - 1)];
    std::uint64_t found = read_word(slot.hash);
    if (found == 0) {
      if (!granted && !may_take_a_slot(faults)) return nullptr;
      granted = true;
      if (std::atomic_ref(slot.hash).compare_exchange_strong(found, hash, std::memory_order_relaxed)) {
        fill_in(slot, stack, books);
        return &slot;
      }
    }
    if (found != hash) continue;
    if (granted) std::atomic_ref(faults.stacks).fetch_sub(1, std::memory_order_relaxed);
    return &slot;
  }
}

void count(RecordedFaults& faults, const FaultCost& cost, void* ucontext) noexcept {
  if (add_to(faults.faults, 1) % faults.every != 0) return;
  CallStack stack;
  unwind(ucontext, stack);
  RecordedStack* const slot = slot_for(faults, stack, *cost.books);
  if (slot == nullptr) {
    add_to(faults.dropped, 1);
    return;
  }
  add_to(slot->samples, 1);
  add_to(slot->pages, cost.pages_copied);
  add_to(slot->ns, cost.ns);
}

}  // namespace

void record(const FaultCost& cost, void* ucontext) noexcept {
  // Before the look: whoever takes the table away looks at the number afterwards.
  inside.fetch_add(1, std::memory_order_seq_cst);
  if (RecordedFaults* const faults = recording.load(std::memory_order_seq_cst)) count(*faults, cost, ucontext);
  inside.fetch_sub(1, std::memory_order_release);
}

void use(RecordedFaults* faults) noexcept { recording.store(faults, std::memory_order_seq_cst); }
bool busy() noexcept { return inside.load(std::memory_order_seq_cst) != 0; }
void forget_other_threads() noexcept { inside.store(0, std::memory_order_relaxed); }

void warm_up() noexcept {
#if COW_WITH_LIBUNWIND
  if (!load_libunwind()) return;
  CallStack stack;
  unw_context_t context;  // the same type as libc's
  if (::getcontext(&context) == 0) unwind(&context, 0, stack);
#endif
}

}  // namespace cow::fault_recorder

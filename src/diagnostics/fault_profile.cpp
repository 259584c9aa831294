// Switches the fault profile on and off, and makes what was recorded readable. Outside the handler.
#include "cow/fault_profile.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <mutex>
#include <thread>

#include "arena/change_barrier.hpp"
#include "arena/operation.hpp"
#include "cow/faults.hpp"
#include "diagnostics/fault_recorder.hpp"
#include "diagnostics/symbols.hpp"
#include "kernel/book_memory.hpp"
#include "words/amounts.hpp"

namespace cow {
namespace {

/// The one profile of the process.
struct Profile {
  std::mutex lock;  // covers what follows; never taken in the handler
  BookBuffer memory;
  bool on = false;
  std::uint64_t process = 0;

  RecordedFaults* faults() const noexcept { return reinterpret_cast<RecordedFaults*>(memory.data()); }
};

Profile& the_profile() {
  static Profile* const profile = new Profile;  // for faults during the end of the process too
  return *profile;
}

/// The lock is held.
void stop(Profile& profile) noexcept {
  signals_wanted.store(false, std::memory_order_relaxed);
  set_fault_observer(nullptr);
  fault_recorder::use(nullptr);
  if (profile.process != os::process_generation()) fault_recorder::forget_other_threads();
  while (fault_recorder::busy()) std::this_thread::yield();
  profile.on = false;
}

os::Result<BookBuffer> table_for(const FaultProfileOptions& options) noexcept {
  constexpr std::size_t most = std::size_t{1} << 24;  // 16 GiB of stacks, reserved only
  const std::size_t stacks = std::clamp<std::size_t>(options.most_stacks, 1, most);
  const std::size_t slots = std::bit_ceil(2 * stacks);
  os::Result<BookBuffer> memory = BookBuffer::reserve(RecordedFaults::bytes_for(slots));
  if (!memory) return memory;
  RecordedFaults* const faults = ::new (memory.value.data()) RecordedFaults;
  faults->every = std::max<std::uint32_t>(options.every, 1);
  faults->slot_count = slots;
  faults->most_stacks = stacks;
  return memory;
}

ProfiledStack readable(RecordedStack& slot, Symbols& symbols) {
  ProfiledStack stack;
  stack.arena = slot.arena;
  stack.cut = slot.cut != 0;
  stack.samples = read_word(slot.samples);
  stack.pages = read_word(slot.pages);
  stack.ns = read_word(slot.ns);
  for (std::uint32_t i = 0; i < slot.frame_count; ++i) {
    // A return address is behind the call, perhaps in the next line or even the next function.
    const std::uintptr_t address = slot.frames[i] - (i == 0 ? 0 : 1);
    for (const CodePlace& place : symbols.places_of(address)) stack.places.push_back(place);
  }
  return stack;
}

}  // namespace

void start_fault_profile(const FaultProfileOptions& options) {
  Profile& profile = the_profile();
  const std::lock_guard guard(profile.lock);
  os::Result<BookBuffer> memory = table_for(options);
  throw_if(memory.error, "memory for a fault profile of " + counted(options.most_stacks, "stack"));
  install_fault_handler();  // arenas that had no need of it so far are going to
  stop(profile);
  fault_recorder::warm_up();
  profile.memory = std::move(memory.value);
  profile.process = os::process_generation();
  profile.on = true;
  fault_recorder::use(profile.faults());
  set_fault_observer(fault_recorder::record);
  want_signals();  // under the kernel barrier nothing would be seen
}

void stop_fault_profile() noexcept {
  Profile& profile = the_profile();
  const std::lock_guard guard(profile.lock);
  stop(profile);
}

bool fault_profile_on() noexcept {
  Profile& profile = the_profile();
  const std::lock_guard guard(profile.lock);
  return profile.on;
}

FaultProfile fault_profile() {
  Profile& profile = the_profile();
  const std::lock_guard guard(profile.lock);
  FaultProfile result;
  result.page_bytes = page_size();
  RecordedFaults* const faults = profile.faults();
  if (faults == nullptr) return result;
  result.every = static_cast<std::uint32_t>(faults->every);
  result.faults = read_word(faults->faults);
  result.dropped = read_word(faults->dropped);
  Symbols symbols;
  for (std::uint64_t i = 0; i < faults->slot_count; ++i) {
    RecordedStack& slot = faults->slots()[i];
    if (std::atomic_ref(slot.filled).load(std::memory_order_acquire) == 0) continue;
    result.stacks.push_back(readable(slot, symbols));
  }
  std::stable_sort(result.stacks.begin(), result.stacks.end(),
                   [](const ProfiledStack& a, const ProfiledStack& b) { return a.ns > b.ns; });
  return result;
}

}  // namespace cow

// Which code caused copy-on-write faults, and what they cost: recorded while a profile is on, told afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cow/export.hpp"

namespace cow {

struct FaultProfileOptions {
  /// Record every nth fault of the process: 1 tells all, at some microseconds a fault (bench/profile_cost measures it);
  /// 64 costs next to nothing and tells where a program that faults much spends it. 0 is taken as 1.
  std::uint32_t every = 1;
  /// Distinct call stacks kept, at about 1 KiB each; samples of further ones are only counted, as dropped.
  std::size_t most_stacks = 4096;
};

/// Starts anew, forgetting what was recorded before. Until stopped, every nth fault that the handler resolves, in any
/// thread and any arena, records the call stack of the write. Throws std::system_error without memory for it.
///
/// Arenas under Barrier::kernel have no faults: they change to a barrier with signals, and back at the first quiet
/// snapshot after the profile has been stopped (ArenaStats::barrier_reason says so).
///
/// It allocates and unwinds once in the calling thread, so that the handler finds all that it needs: there it takes no
/// memory but what is reserved here. What remains: libunwind asks the dynamic loader (dl_iterate_phdr) about code
/// that it meets for the first time, and waits if another thread is loading or unloading a library just then. A handler
/// on an alternate stack needs 8 KiB more than cow/faults.hpp says while a profile is on. Built without libunwind, a
/// stack is the writing instruction alone.
COW_API void start_fault_profile(const FaultProfileOptions& options = {});

/// What was recorded stays. Waits for handlers in other threads that are recording just now.
COW_API void stop_fault_profile() noexcept;

COW_API bool fault_profile_on() noexcept;

/// A place in the code, as far as it is known.
struct CodePlace {
  std::string function;      ///< demangled; empty: unknown
  std::string file;          ///< empty: no debug information, or no libdw when the library was built or now
  std::uint32_t line = 0;    ///< 0: unknown
  std::string module;        ///< the program or library: the last part of its path
  std::uint64_t offset = 0;  ///< into the function, or into the module where that is not known
  bool inlined = false;      ///< inlined into the next place of its stack
};

/// The faults of one call stack in arenas of one name.
struct ProfiledStack {
  std::string arena;
  std::vector<CodePlace> places;  ///< innermost first
  bool cut = false;               ///< it was deeper than what is kept; the outermost places are missing
  std::uint64_t samples = 0;
  std::uint64_t pages = 0;  ///< copied by the sampled faults
  std::uint64_t ns = 0;     ///< spent in the handler by the sampled faults; the kernel's part is not in it
};

struct FaultProfile {
  std::uint32_t every = 1;
  std::uint64_t faults = 0;   ///< of the process, since the start: all, not only the sampled
  std::uint64_t dropped = 0;  ///< samples for whose stacks there was no place
  std::size_t page_bytes = 0;
  std::vector<ProfiledStack> stacks;  ///< most expensive first
};

/// What was recorded since the start; empty when there was none. May be called while it goes on. Reads symbols and
/// debug information from files: up to some 100 ms for the first stack of a large program.
COW_API FaultProfile fault_profile();

enum class FaultWeight {
  faults,
  pages,
  nanoseconds
};

/// A table of call sites, the most expensive first: the innermost place of a stack that is in the program's own
/// sources, or else the innermost at all. Faults, pages, bytes and time are estimates: samples times `every`.
COW_API std::string to_text(const FaultProfile& profile, std::size_t most_sites = 20);

/// One line for each stack: arena;outermost;...;innermost weight. What flame-graph viewers open. Inlined functions end
/// in "_[i]".
COW_API std::string to_folded(const FaultProfile& profile, FaultWeight weight = FaultWeight::faults);

/// A flame graph: one box for each function below its callers, as wide as its weight; tooltips tell the numbers.
COW_API std::string to_svg(const FaultProfile& profile, FaultWeight weight = FaultWeight::faults);

}  // namespace cow

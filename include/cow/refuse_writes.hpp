// A checked mode for threads that work on a clone: a store that goes to the original after all is told and deadly.
#pragma once

#include <cstdint>

#include "cow/arena.hpp"
#include "cow/export.hpp"

namespace cow {

namespace detail {
struct WriteRefusal;
}

/// A raw pointer of the original that was taken along into a clone's thread changes the original, without a word. While
/// a RefuseWrites lives, it does not: such a store is told in one line that names the arena and the page, and raises
/// SIGSEGV or SIGBUS as any bad access, in the debugger right at the store. For tests and debug builds:
///
///     std::thread work([&, clone = arena.clone()]() mutable {
///       const cow::RefuseWrites guard(arena);              // this thread's stores to `arena` are mistakes
///       clone.at(arena, account)->balance = 0;             // right: the same place in the clone
///       account->balance = 0;                              // "cow: write at 0x… in arena "bank", page 3: a Refuse…"
///     });
///
/// What is caught is a store to a page that is protected, and beginning one protects all. Of all_threads every store is
/// caught. Of this_thread those are not that hit a page which another thread has written in between: writable pages
/// are so for all threads. Snapshots protect them again. Reads, and calls of the arena's members, pass.
///
/// Cost: a snapshot at the start, so that the first store to each page faults again; then nothing but a look at each
/// fault. Any thread may begin one and end it, as many as you like at once; `this_thread` is the one that begins it. It
/// may outlive the arena, and is not inherited by a fork() child. Throws as Arena::snapshot(), and std::system_error
/// without memory.
class COW_API RefuseWrites {
 public:
  enum class By { this_thread, all_threads };

  explicit RefuseWrites(Arena& original, By by = By::this_thread);
  ~RefuseWrites();
  RefuseWrites(const RefuseWrites&) = delete;
  RefuseWrites& operator=(const RefuseWrites&) = delete;

 private:
  detail::WriteRefusal* refusal_;
};

}  // namespace cow

// A small number for each running thread, by which threads choose their shard. Numbers of threads that ended are
// used again, lowest first, so that their pages stay in use.
#pragma once

namespace cow::detail {

inline constexpr unsigned thread_slots = 64;  // with more threads than this, some share a number

// One more than the slot; 0 until the thread asks for the first time. constinit: read without a wrapper call.
extern constinit thread_local unsigned cached_thread_slot;

unsigned take_thread_slot() noexcept;

/// 0 to thread_slots - 1.
inline unsigned thread_slot() noexcept {
  const unsigned cached = cached_thread_slot;
  return cached != 0 ? cached - 1 : take_thread_slot();
}

}  // namespace cow::detail

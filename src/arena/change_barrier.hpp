// An arena changes to another barrier: from the kernel's to one with signals at any moment, back at a quiet cut.
#pragma once

#include <atomic>

#include "books/arena_books.hpp"
#include "kernel/os.hpp"

namespace cow {

/// What has the content in private mappings goes to the frames, and those are shown read-only; other threads may be
/// writing meanwhile, and wait. A plain arena is protected by the barrier that waits for its first cut. A failure
/// leaves all as it was.
os::Error change_to_signals(ArenaBooks& books, const char* why) noexcept COW_IN_OPERATION COW_FAULT_LOCKED;

/// All pages are protected, and nobody writes. Where it fails, or would take too many mappings, the barrier stays.
void change_to_kernel(ArenaBooks& books, const char* why) noexcept COW_IN_OPERATION COW_FAULT_LOCKED;

/// At a quiet cut: whether the other kind of barrier would have cost less for some cuts running, or is owed since the
/// reason for signals has gone; then changes to it.
void change_if_better(ArenaBooks& books) noexcept COW_IN_OPERATION COW_FAULT_LOCKED;

/// At a cut that is not quiet, under automatic: where mprotect was chosen and there are threads now, userfaultfd takes
/// over. Nothing is writable then.
void leave_mprotect_for_threads(ArenaBooks& books) noexcept COW_IN_OPERATION COW_FAULT_LOCKED;

/// For whatever may change the barrier, or protect: the handlers are looked after that any barrier of the arena's may
/// want. Throws as install_fault_handler().
void keep_handlers_for(const ArenaBooks& books);

/// As change_if_better(), after a rollback under the kernel barrier that undid what was written, before anything else
/// is.
void change_after_undoing(ArenaBooks& books) noexcept COW_IN_OPERATION COW_FAULT_LOCKED;

/// While they are wanted arenas use barriers that have signals (the fault profile).
extern std::atomic<bool> signals_wanted;
/// Wants them, and changes all arenas there are; one that cannot be changed goes on unseen. No lock is held.
void want_signals() noexcept;
/// For an arena that was published just now, and may have been overlooked.
void give_signals_if_wanted(ArenaBooks& books) noexcept COW_SIGNALS_BLOCKED;

inline constexpr const char* why_not_quiet = "other threads may write while a cut is made";
inline constexpr const char* why_little = "what is written takes few faults, which cost less than looking for it";
inline constexpr const char* why_profile = "the fault profile needs signals";
inline constexpr const char* why_refusal = "a RefuseWrites needs signals";

}  // namespace cow

// The rule: what a write to a read-only page needs, and nothing else. Runs in the signal handler.
//
// The rules of this file, for all that run in the handler:
//  1. No allocation but by raw system calls, no stdio, no exceptions, no std::mutex, no thread-local created lazily.
//  2. The arena's fault lock is held throughout; the file's lock is taken inside it, for moments.
//  3. First make room (frames, log, plane), which may fail and changes nothing; then keep the old content, then log it,
//     then set births, then make writable. What stops after any of these steps has lost nothing.
//  4. A page is copied or moved only while it is read-only for every thread.
#pragma once

#include "books/arena_books.hpp"
#include "kernel/os.hpp"
#include "words/units.hpp"

namespace cow {

/// What a caught write met, by the books.
enum class Caught { protected_before, writable_before };

/// A caught write: makes page p writable, and with it as much of a block as the pattern of writes and the mapping
/// budget suggest.
os::Result<Caught> make_writable_for_fault(ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED;

/// Under a barrier that collects nothing is ever protected, but what a failure has left so: before anything is stored
/// to under the fault lock.
os::Error open_all_half_protected(ArenaBooks& books) noexcept COW_FAULT_LOCKED;

/// Makes a run of any pages writable; those that read as zero only if they are to be included.
enum class Untouched { included, left };
os::Error make_writable(ArenaBooks& books, Pages run, Untouched untouched = Untouched::included) noexcept
    COW_FAULT_LOCKED;

/// Takes the content of a run away: each page is writable, or reads as zero already. Afterwards all read as zero, but
/// for what is excluded.
/// Cannot fail.
void make_blank(ArenaBooks& books, Pages run) noexcept COW_FAULT_LOCKED;

}  // namespace cow

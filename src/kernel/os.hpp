// The only place that asks the kernel for anything. Raw system calls, errno as a value, so that all
// of it may run in the signal handler; a seam where tests make the nth call fail. Knows nothing of arenas.
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>

#include "words/held.hpp"

namespace cow::os {

/// The outcome of a kernel call: 0, or an errno.
struct [[nodiscard]] Error {
  int code = 0;
  explicit operator bool() const noexcept { return code != 0; }
  friend bool operator==(Error, Error) noexcept = default;
};

/// A value, or the errno that kept us from it.
template <class T>
struct [[nodiscard]] Result {
  T value{};
  Error error;
  explicit operator bool() const noexcept { return !error; }
};

/// A descriptor of the library's own, known by its file: the program may have closed the number, and opened something
/// else under it.
struct Descriptor {
  int number = -1;
  std::uint64_t device = 0, file = 0;  // as fstat(2) tells them
  std::int64_t position = 0;           // of a memory file: a mark that costs less to look at; 0: none
};

enum class Access { none, read, read_write };

std::size_t page_size() noexcept;
std::uint64_t machine_memory_bytes() noexcept;

// -- The seam ---------------------------------------------------------------------------------------------------

/// Calls `then` before the nth such kernel call from now is made: the moment for what another thread may do there. 0
/// switches that off. For tests.
void before_call(std::int64_t nth, void (*then)()) noexcept;
/// Makes the nth failing-capable kernel call from now fail with ENOMEM, once; 0 switches that off. `again`: so does the
/// one so many calls later. For tests.
void fail_after(std::int64_t nth, std::int64_t again = 0) noexcept;
/// Makes each failing-capable kernel call from now fail with ENOMEM by chance, one in so many; the seed decides which.
/// 0 switches that off. For tests.
void fail_by_chance(std::uint64_t seed, std::uint64_t one_in) noexcept;
/// How many failing-capable kernel calls were made so far.
std::int64_t calls_made() noexcept;

// -- Memory -----------------------------------------------------------------------------------------------------

/// Zero-filled private memory that costs nothing until touched.
Result<void*> reserve_books(std::size_t bytes) noexcept;
Result<void*> grow_books(void* at, std::size_t old_bytes, std::size_t new_bytes) noexcept;
/// An address range that nothing else takes; `at` is exact and never replaces a mapping, nullptr is anywhere.
Result<void*> reserve_addresses(void* at, std::size_t bytes) noexcept;

/// Whether the kernel lets the process have so many mappings more, just now: tried, and given back.
Error try_mappings(std::uint64_t count) noexcept;
/// Zero memory, read-only, over an address range of ours.
Error map_zero(void* at, std::size_t bytes) noexcept;
/// A file's range shared over an address range of ours that nobody uses yet.
Error map_file(void* at, std::size_t bytes, Access access, const Descriptor& file, std::uint64_t offset) noexcept;
/// The same in place of what somebody may be reading; what was locked into memory stays so, and the first page's memory
/// policy becomes that of all.
Error map_file_over(void* at, std::size_t bytes, Access access, const Descriptor& file, std::uint64_t offset) noexcept;
/// To read and write, with writes kept to the mapping; or to read, with pages of the mapping's own (fill_pages()).
Error map_file_privately(void* at, std::size_t bytes, const Descriptor& file, std::uint64_t offset,
                         Access access = Access::read_write) noexcept;
/// The same in place of what was mapped there, with what was locked into memory, and its policy, as above.
Error map_file_privately_over(void* at, std::size_t bytes, const Descriptor& file, std::uint64_t offset) noexcept;
/// Zero memory to read and write, over an address range of ours.
Error map_private_zero(void* at, std::size_t bytes) noexcept;
Error protect(void* at, std::size_t bytes, Access access) noexcept;
Error populate_for_writing(void* at, std::size_t bytes) noexcept;
/// As if each page were read, or stored to. EFAULT: that would have raised SIGBUS.
Error touch(const void* at, std::size_t bytes, Access access) noexcept;
/// What is mapped there goes over another mapping, with its page tables; in its place the same file is mapped as
/// before, without any. Which takes no time worth mentioning where both places lie alike in 2 MiB. Not for what is
/// locked into memory. A failure may leave nothing in the other place.
Error move_page_tables(void* from, std::size_t bytes, void* to) noexcept;
/// Takes private memory of ours to another place, over the mapping there, in one step: nobody sees a gap.
Error move_over(void* from, std::size_t bytes, void* to) noexcept;
void unmap(void* at, std::size_t bytes) noexcept;
/// Puts inaccessible addresses in place of what is there.
void seal_off(void* at, std::size_t bytes) noexcept;
void forget(void* at, std::size_t bytes) noexcept;      ///< private memory reads as zero again; a hint elsewhere
/// How much of a range of books has memory behind it.
std::size_t resident_bytes(void* at, std::size_t bytes) noexcept;
/// Whether a part of it is locked into memory, by mlock() or mlockall().
bool is_locked(void* at, std::size_t bytes) noexcept;
/// Locks what has memory, and what gets some later when that happens.
void lock_where_touched(void* at, std::size_t bytes) noexcept;
void name_mapping(void* at, std::size_t bytes, const char* name) noexcept;
/// Leaves a range out of core dumps.
void hide_from_core_dumps(void* at, std::size_t bytes) noexcept;
/// Leaves a range out of the address space of fork() children.
void hide_from_children(void* at, std::size_t bytes) noexcept;
void show_to_children(void* at, std::size_t bytes) noexcept;

// -- The memory file --------------------------------------------------------------------------------------------

/// A sealed, sparse memory file of the largest size there is. EFBIG: RLIMIT_FSIZE is too low.
Result<Descriptor> create_memory_file(const char* name) noexcept;
/// One that is not to be written to.
Result<Descriptor> create_empty_memory_file(const char* name) noexcept;
/// Whether the number still stands for the file. Whatever else takes a descriptor asks this itself and answers EBADF.
bool still_ours(const Descriptor& file) noexcept;
void close_file(const Descriptor& file) noexcept;
Error punch(const Descriptor& file, std::uint64_t offset, std::uint64_t bytes) noexcept;
/// Memory for a range, which keeps its content.
Error allocate(const Descriptor& file, std::uint64_t offset, std::uint64_t bytes) noexcept;
/// With asynchronous signals blocked: the kernel may send SIGXFSZ, which is taken back.
Error write_at(const Descriptor& file, const void* from, std::size_t bytes, std::uint64_t offset) noexcept;
/// Zeros for what has memory, which the kernel needs nothing for; what has none reads as zero anyway.
void overwrite_with_zeros(const Descriptor& file, std::uint64_t offset, std::uint64_t bytes) noexcept;
Error read_at(const Descriptor& file, void* into, std::size_t bytes, std::uint64_t offset) noexcept;
/// Memory or swap behind a file.
std::uint64_t allocated_bytes(const Descriptor& file) noexcept;
/// The next byte at or after `from` that has memory or swap behind it, or that has none. ENXIO: there is none such.
Result<std::uint64_t> next_allocated(const Descriptor& file, std::uint64_t from) noexcept;
Result<std::uint64_t> next_hole(const Descriptor& file, std::uint64_t from) noexcept;
/// Whether any process still shares a mapping of a memory file of ours. Once it says no, nobody ever can again. Yes
/// where nobody can tell, since the descriptor was closed.
bool has_shared_mappings(const Descriptor& file) noexcept;

// -- userfaultfd ------------------------------------------------------------------------------------------------

/// A descriptor that can write-protect shared memory and lets the writing thread have SIGBUS: Linux 5.19 and a sandbox
/// that allows it.
Result<Descriptor> open_userfaultfd() noexcept;
/// With other features. EINVAL: the kernel lacks some.
Result<Descriptor> open_userfaultfd_with(std::uint64_t features) noexcept;
inline constexpr std::uint64_t feature_wp_shared = 1 << 12;  // UFFD_FEATURE_WP_HUGETLBFS_SHMEM
/// Opens a file by a function that gives a number or -1 with errno; not under the number of a standard stream.
Result<Descriptor> open_high(long (*open)()) noexcept;
/// EMFILE or ENFILE where nothing can be opened just now; by opening something.
Error no_descriptor_left() noexcept;
/// Keeps the file open for as long as the process lives, whoever closes the descriptor: with its last reference the
/// kernel would drop all protection, silently. An asynchronous poll that never ends is such a reference. False where
/// there are none: a sandbox, or fs.aio-max-nr. The end of the process takes some 10 ms longer.
bool hold_open(const Descriptor& userfaultfd) noexcept;
/// For fill_pages(), until the descriptor is closed; meanwhile whoever touches a page without memory waits. EINVAL: not
/// with this kind of mapping, as of a file on a disk.
Error register_for_filling(const Descriptor& userfaultfd, void* at, std::size_t bytes) noexcept;
/// Gives whole pages that nobody has touched memory of their own with that content, in a read-only mapping too.
Error fill_pages(const Descriptor& userfaultfd, void* at, const void* from, std::size_t bytes) noexcept;
/// Mappings made later in the range are not covered.
Error register_for_write_protection(const Descriptor& userfaultfd, void* at, std::size_t bytes) noexcept;
/// It must be registered with this very one, or not at all.
Error unregister(const Descriptor& userfaultfd, void* at, std::size_t bytes) noexcept;
Error write_protect(const Descriptor& userfaultfd, void* at, std::size_t bytes, bool on) noexcept;

// -- Signals, threads, processes --------------------------------------------------------------------------------

Error set_action(int signo, const struct sigaction* action, struct sigaction* old) noexcept;
/// Blocks the signals of `mask`, then puts the mask from before back.
void block_signals(const sigset_t& mask, sigset_t& old) noexcept;
void restore_signals(const sigset_t& old) noexcept;
/// The mask as the kernel has it: bit n - 1 is signal n. Returns the one from before.
std::uint64_t set_signal_mask(std::uint64_t mask) noexcept;
void raise_in_this_thread(int signo) noexcept;
int process_id() noexcept;
void wait_on(std::uint32_t* word, std::uint32_t expected) noexcept;
void let_others_run() noexcept;
void wake_one(std::uint32_t* word) noexcept;
void wake_all(std::uint32_t* word) noexcept;
/// Waits while the word is as expected, for less than a second. False when the time has run out.
bool wait_a_while(std::uint32_t* word, std::uint32_t expected, long microseconds) noexcept;
/// The kernel's number for this thread.
std::uint32_t thread_id() noexcept;
/// Whether a thread of this process has ended or waits for something that others do: a lock, a signal, a pipe. Not
/// while it only waits for a processor, or inside the kernel. False too where /proc does not tell.
bool sleeps_or_ended(std::uint32_t thread) noexcept;
/// Whether a word of our own memory can be written just now; changes nothing.
bool can_write(void* word) noexcept;
/// Whether there is a mapping at an address just now.
bool is_mapped(const void* at) noexcept;
/// Has a fault raised for each page that cannot be written yet; changes nothing in them.
void open_by_faults(std::byte* begin, std::byte* end) noexcept;
/// Bytes to standard error, as far as they go.
void report(const char* text, std::size_t bytes) noexcept;

/// Blocks the signals that arrive on their own, so that no application handler runs while a lock is held that
/// the fault handler needs. Those that a thread's own instructions raise stay open: a fault must be seen.
class COW_HOLDER AsyncSignalsBlocked {
 public:
  AsyncSignalsBlocked() noexcept COW_TAKES(held::signals);
  ~AsyncSignalsBlocked() COW_LETS_GO;
  AsyncSignalsBlocked(const AsyncSignalsBlocked&) = delete;
  AsyncSignalsBlocked& operator=(const AsyncSignalsBlocked&) = delete;

 private:
  std::uint64_t old_mask_ = 0;
};

/// Saves errno and puts it back.
class ErrnoKept {
 public:
  ErrnoKept() noexcept;
  ~ErrnoKept();
  ErrnoKept(const ErrnoKept&) = delete;
  ErrnoKept& operator=(const ErrnoKept&) = delete;

 private:
  int saved_;
};

/// Which process this is: a number that differs between a process and its fork() children. Needs
/// watch_for_forks() once; async-signal-safe.
std::uint64_t process_generation() noexcept;
Error watch_for_forks() noexcept;

/// Kernel mappings that a process may have (vm.max_map_count); read once.
std::size_t mapping_limit() noexcept;

}  // namespace cow::os

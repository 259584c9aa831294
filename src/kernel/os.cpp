// The system calls themselves. libc's wrappers are left aside on purpose: ThreadSanitizer takes libc's mmap
// in a signal handler for a race with the program, while a raw call is clean; and wrappers may be interposed.
#include "kernel/asked_of_mapping.hpp"
#include "kernel/os.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "kernel/ask.hpp"
#include "kernel/memory_sanitizer.hpp"

#ifndef MADV_COLD
#define MADV_COLD 20  // Linux 5.4
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1  // Linux 4.4
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4  // Linux 5.7; for shared mappings 5.13
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

namespace cow::os {
namespace {

// One word of memory that the kernel zeroes in a fork() child (MADV_WIPEONFORK, Linux 4.14), and the last
// generation handed out, which a child inherits: a child finds 0 in the word and takes the next number.
std::atomic<std::uint64_t>* generation_word = nullptr;
std::atomic<std::uint64_t> last_generation{0};

std::atomic<std::size_t> known_page_size{0};
std::atomic<std::int64_t> calls{0};
std::atomic<std::int64_t> awaited_call{0};
std::atomic<void (*)()> call_awaited{nullptr};
std::atomic<std::int64_t> failing_call{0}, second_failing_call{0};  // the numbers in `calls` that fail; 0: none
std::atomic<std::uint64_t> chance_seed{0}, chance_one_in{0};  // 0: none fails by chance

/// The outcome for the nth call from a seed on (a step of SplitMix64).
bool fails_by_chance(std::uint64_t nth, std::uint64_t one_in) noexcept {
  std::uint64_t z = chance_seed.load(std::memory_order_relaxed) + nth * 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return (z ^ (z >> 31)) % one_in == 0;
}

// The kernel lets addresses go before it gives them out again, whichever threads ask. The language's memory model does
// not know that, nor does ThreadSanitizer, who takes the next owner's first write for a race with the last one's.
std::atomic<std::uint64_t> addresses_let_go{0};
void before_letting_go() noexcept { addresses_let_go.fetch_add(1, std::memory_order_release); }
void after_mapping() noexcept { (void)addresses_let_go.load(std::memory_order_acquire); }

Result<void*> mapped(long address, std::size_t bytes) noexcept {
  if (address == -1) return {nullptr, {errno}};
  after_mapping();
  memory_sanitizer::has_content(reinterpret_cast<void*>(address), bytes);
  return {reinterpret_cast<void*>(address), {}};
}

// Whether new mappings come locked into memory, by mlockall(MCL_FUTURE), as the last look said.
std::atomic<bool> new_ones_are_locked{false};

/// Asked of addresses where nothing is: madvise(2) changes nothing there, but refuses this for what is locked.
/// (Valgrind takes msync() of them for a mistake.)
bool came_locked(void* reserved) noexcept {
  return ::syscall(SYS_madvise, reserved, page_size(), MADV_COLD) == -1 && errno == EINVAL;
}

int protection(Access access) noexcept {
  switch (access) {
    case Access::none: return PROT_NONE;
    case Access::read: return PROT_READ;
    case Access::read_write: return PROT_READ | PROT_WRITE;
  }
  return PROT_NONE;
}

/// The kernel fills a new mapping that is locked with memory at once where it can be accessed. This one gets it where
/// it is touched, and keeps it locked there.
long map_untouched(void* at, std::size_t bytes, int prot, int flags, int fd, std::uint64_t offset) noexcept {
  const bool locked = new_ones_are_locked.load(std::memory_order_relaxed);
  const long address = ask(SYS_mmap, at, bytes, locked ? PROT_NONE : prot, flags, fd, offset);
  if (!locked || address == -1) return address;
  lock_where_touched(reinterpret_cast<void*>(address), bytes);
  return ask(SYS_mprotect, address, bytes, prot) == -1 ? -1 : address;
}

}  // namespace

bool made_to_fail() noexcept {
  const std::int64_t now = calls.fetch_add(1, std::memory_order_relaxed) + 1;
  if (now == awaited_call.load(std::memory_order_relaxed)) call_awaited.load(std::memory_order_relaxed)();
  if (now == failing_call.load(std::memory_order_relaxed)) return true;
  if (now == second_failing_call.load(std::memory_order_relaxed)) return true;
  const std::uint64_t one_in = chance_one_in.load(std::memory_order_relaxed);
  return one_in != 0 && fails_by_chance(static_cast<std::uint64_t>(now), one_in);
}

void before_call(std::int64_t nth, void (*then)()) noexcept {
  awaited_call = 0;
  if (nth == 0) return;
  call_awaited = then;
  awaited_call = calls + nth;
}
void fail_after(std::int64_t nth, std::int64_t again) noexcept {
  failing_call = nth == 0 ? 0 : calls + nth;
  second_failing_call = again == 0 ? 0 : calls + nth + again;
}
void fail_by_chance(std::uint64_t seed, std::uint64_t one_in) noexcept {
  chance_seed = seed - static_cast<std::uint64_t>(calls.load()) * 0x9e3779b97f4a7c15U;  // counted from here on
  chance_one_in = one_in;
}
std::int64_t calls_made() noexcept { return calls; }

Result<void*> reserve_books(std::size_t bytes) noexcept {
  constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  Result<void*> got = mapped(map_untouched(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0), bytes);
  // Debian's kernel gives huge pages to whoever does not refuse them: 2 MiB for one touch, or 32 MiB and 512 MiB where
  // pages have 16 KiB and 64 KiB. What is touched of the books lies far apart.
  if (got) (void)::syscall(SYS_madvise, got.value, bytes, MADV_NOHUGEPAGE);
  return got;
}

Result<void*> grow_books(void* at, std::size_t old_bytes, std::size_t new_bytes) noexcept {
  before_letting_go();
  return mapped(ask(SYS_mremap, at, old_bytes, new_bytes, MREMAP_MAYMOVE), new_bytes);
}

Result<void*> reserve_addresses(void* at, std::size_t bytes) noexcept {
  const int exact = at != nullptr ? MAP_FIXED_NOREPLACE : 0;
  Result<void*> got =
      mapped(ask(SYS_mmap, at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | exact, -1, 0), bytes);
  if (got && at != nullptr && got.value != at) {  // a kernel before 4.17 takes the address for a hint
    unmap(got.value, bytes);
    return {nullptr, {EEXIST}};
  }
  if (got) new_ones_are_locked.store(came_locked(got.value), std::memory_order_relaxed);
  return got;
}

Error try_mappings(std::uint64_t count) noexcept {
  const std::size_t page = page_size(), bytes = (count + 2) * page;
  const Result<void*> range = reserve_addresses(nullptr, bytes);
  Error error = range.error;
  // Each page of another protection than its neighbours' makes two.
  for (std::size_t at = page; !error && at + page < bytes; at += 2 * page) {
    error = protect(static_cast<std::byte*>(range.value) + at, page, Access::read);
  }
  if (range) unmap(range.value, bytes);
  return error;
}

Error map_zero(void* at, std::size_t bytes) noexcept {
  constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  return failed_if(map_untouched(at, bytes, PROT_READ, flags, -1, 0) == -1);
}

Error map_file(void* at, std::size_t bytes, Access access, const Descriptor& file, std::uint64_t offset) noexcept {
  if (!still_ours(file)) return {EBADF};
  constexpr int flags = MAP_SHARED | MAP_NORESERVE | MAP_FIXED;
  return failed_if(map_untouched(at, bytes, protection(access), flags, file.number, offset) == -1);
}

Error map_file_over(void* at, std::size_t bytes, Access access, const Descriptor& file, std::uint64_t offset) noexcept {
  if (!still_ours(file)) return {EBADF};
  const AskedOfMapping asked(at, bytes);
  constexpr int flags = MAP_SHARED | MAP_NORESERVE | MAP_FIXED;
  if (ask(SYS_mmap, at, bytes, protection(access), flags, file.number, offset) == -1) return {errno};
  asked.ask_again();
  return {};
}

Error map_file_privately(void* at, std::size_t bytes, const Descriptor& file, std::uint64_t offset,
                         Access access) noexcept {
  if (!still_ours(file)) return {EBADF};
  constexpr int flags = MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED;
  return failed_if(map_untouched(at, bytes, protection(access), flags, file.number, offset) == -1);
}

Error map_file_privately_over(void* at, std::size_t bytes, const Descriptor& file, std::uint64_t offset) noexcept {
  const AskedOfMapping asked(at, bytes);
  const Error error = map_file_privately(at, bytes, file, offset);
  if (!error) asked.ask_again();
  return error;
}

Error map_private_zero(void* at, std::size_t bytes) noexcept {
  constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  return failed_if(map_untouched(at, bytes, PROT_READ | PROT_WRITE, flags, -1, 0) == -1);
}

bool is_locked(void* at, std::size_t bytes) noexcept {
  // msync(2) with these flags changes nothing in memory files, but for locked memory it says EBUSY.
  return ::syscall(SYS_msync, at, bytes, MS_ASYNC | MS_INVALIDATE) == -1 && errno == EBUSY;
}

void lock_where_touched(void* at, std::size_t bytes) noexcept {
  // Rather not locked than all of it in memory.
  if (::syscall(SYS_mlock2, at, bytes, MLOCK_ONFAULT) == -1) (void)::syscall(SYS_munlock, at, bytes);
}

Error protect(void* at, std::size_t bytes, Access access) noexcept {
  return failed_if(ask(SYS_mprotect, at, bytes, protection(access)) == -1);
}

Error populate_for_writing(void* at, std::size_t bytes) noexcept {
  const Error error = failed_if(ask(SYS_madvise, at, bytes, MADV_POPULATE_WRITE) == -1);
  // madvise(2): EFAULT where a store would have raised SIGBUS, as it does when strict overcommit has no more for the
  // file.
  return error.code == EFAULT ? Error{ENOMEM} : error;
}

Error touch(const void* at, std::size_t bytes, Access access) noexcept {
  const int how = access == Access::read_write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  return failed_if(ask(SYS_madvise, at, bytes, how) == -1);
}

Error move_over(void* from, std::size_t bytes, void* to) noexcept {
  before_letting_go();
  const long moved = ask(SYS_mremap, from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  if (moved == -1) return {errno};
  after_mapping();
  memory_sanitizer::has_content(to, bytes);
  return {};
}

Error move_page_tables(void* from, std::size_t bytes, void* to) noexcept {
  before_letting_go();
  const long moved = ask(SYS_mremap, from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
  if (moved == -1) return {errno};
  after_mapping();
  return {};
}

void unmap(void* at, std::size_t bytes) noexcept {
  before_letting_go();
  (void)::syscall(SYS_munmap, at, bytes);
}

void seal_off(void* at, std::size_t bytes) noexcept {
  (void)::syscall(SYS_mmap, at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

void forget(void* at, std::size_t bytes) noexcept {
  (void)::syscall(SYS_madvise, at, bytes, MADV_DONTNEED);
  memory_sanitizer::has_content(at, bytes);
}

void name_mapping(void* at, std::size_t bytes, const char* name) noexcept {
  (void)::syscall(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, bytes, name);
}

void hide_from_core_dumps(void* at, std::size_t bytes) noexcept {
  (void)::syscall(SYS_madvise, at, bytes, MADV_DONTDUMP);
}

void hide_from_children(void* at, std::size_t bytes) noexcept {
  (void)::syscall(SYS_madvise, at, bytes, MADV_DONTFORK);
}
void show_to_children(void* at, std::size_t bytes) noexcept {
  (void)::syscall(SYS_madvise, at, bytes, MADV_DOFORK);
}

Error set_action(int signo, const struct sigaction* action, struct sigaction* old) noexcept {
  if (action != nullptr && made_to_fail()) return {ENOMEM};
  return failed_if(::sigaction(signo, action, old) == -1);  // libc's: it adds the restorer that the kernel wants
}

void block_signals(const sigset_t& mask, sigset_t& old) noexcept {
  (void)::syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask, &old, sizeof(std::uint64_t));
}

void restore_signals(const sigset_t& old) noexcept {
  (void)::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, nullptr, sizeof(std::uint64_t));
}

std::uint64_t set_signal_mask(std::uint64_t mask) noexcept {
  std::uint64_t before = 0;
  (void)::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &before, sizeof mask);
  return before;
}

void raise_in_this_thread(int signo) noexcept {
  (void)::syscall(SYS_tgkill, ::syscall(SYS_getpid), ::syscall(SYS_gettid), signo);
}

int process_id() noexcept { return static_cast<int>(::syscall(SYS_getpid)); }

void wait_on(std::uint32_t* word, std::uint32_t expected) noexcept {
  (void)::syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

void let_others_run() noexcept { (void)::syscall(SYS_sched_yield); }

void wake_one(std::uint32_t* word) noexcept {
  (void)::syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

bool can_write(void* word) noexcept {
  // FUTEX_WAKE_OP adds 0 to the second word in one atomic step, and answers EFAULT where that cannot be written.
  std::uint32_t nobody = 0;
  const std::uintptr_t aligned = reinterpret_cast<std::uintptr_t>(word) & ~std::uintptr_t{3};
  return ::syscall(SYS_futex, &nobody, FUTEX_WAKE_OP_PRIVATE, 0, 0, aligned,
                   FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0)) != -1;
}

bool is_mapped(const void* at) noexcept {
  unsigned char resident = 0;
  const std::uintptr_t page = reinterpret_cast<std::uintptr_t>(at) & ~(page_size() - 1);
  return ::syscall(SYS_mincore, page, page_size(), &resident) != -1 || errno != ENOMEM;
}

// Memory below a stack pointer may be marked as out of scope.
__attribute__((no_sanitize("address"))) __attribute__((no_sanitize("thread"))) void open_by_faults(
    std::byte* begin, std::byte* end) noexcept {
  for (std::byte* at = begin; at < end; at += page_size()) {
    (void)__atomic_fetch_or(reinterpret_cast<unsigned char*>(at), 0, __ATOMIC_RELAXED);
  }
}

void report(const char* text, std::size_t bytes) noexcept { (void)::syscall(SYS_write, 2, text, bytes); }

ErrnoKept::ErrnoKept() noexcept : saved_(errno) {}
ErrnoKept::~ErrnoKept() { errno = saved_; }

AsyncSignalsBlocked::AsyncSignalsBlocked() noexcept {
  constexpr auto bit = [](int signo) { return std::uint64_t{1} << (signo - 1); };
  const std::uint64_t all_but_faults =
      ~(bit(SIGSEGV) | bit(SIGBUS) | bit(SIGFPE) | bit(SIGILL) | bit(SIGTRAP) | bit(SIGSYS));
  (void)::syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all_but_faults, &old_mask_, sizeof old_mask_);
}

AsyncSignalsBlocked::~AsyncSignalsBlocked() {
  (void)::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old_mask_, nullptr, sizeof old_mask_);
}

std::size_t page_size() noexcept {
  std::size_t size = known_page_size.load(std::memory_order_relaxed);
  if (size == 0) known_page_size.store(size = ::getauxval(AT_PAGESZ), std::memory_order_relaxed);
  return size;
}

Error watch_for_forks() noexcept {
  if (generation_word != nullptr) return {};
  Result<void*> memory = reserve_books(page_size());
  if (!memory) return memory.error;
  if (ask(SYS_madvise, memory.value, page_size(), MADV_WIPEONFORK) == -1) {
    const Error error{errno};
    unmap(memory.value, page_size());
    return error;
  }
  generation_word = static_cast<std::atomic<std::uint64_t>*>(memory.value);
  return {};
}

std::uint64_t process_generation() noexcept {
  if (generation_word == nullptr) return 0;
  std::uint64_t mine = generation_word->load(std::memory_order_relaxed);
  if (mine == 0) {
    const std::uint64_t next = last_generation.fetch_add(1, std::memory_order_relaxed) + 1;
    if (generation_word->compare_exchange_strong(mine, next)) mine = next;
  }
  return mine;
}

}  // namespace cow::os

// The arena: memory whose content can be snapshotted, rolled back and cloned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cow/export.hpp"
#include "cow/same_place.hpp"
#include "cow/snapshot.hpp"
#include "cow/stats.hpp"
#include "cow/units.hpp"

namespace cow {

/// What makes pages read-only and catches the first write to each.
enum class Barrier {
  mprotect,     ///< mprotect and SIGSEGV: works everywhere
  userfaultfd,  ///< userfaultfd write-protection and SIGBUS: cheaper; needs Linux 5.19 and a permissive sandbox
  automatic,    ///< begins with kernel where cuts are quiet and it can be had, else userfaultfd, else mprotect; and
                ///< changes where another would have cost less for several cuts running
  kernel,       ///< the kernel's own copy-on-write: no signal, and no system call fails; needs Linux 6.7, userfaultfd,
                ///< /proc/self/pagemap, and quiet cuts (ArenaOptions::quiet_cuts)
};

class UpdateGate;

struct ArenaOptions {
  /// Bytes of address space, rounded up to pages; memory is used only where written.
  std::size_t capacity = std::size_t{1} << 30;
  std::string name = "cow";  ///< shown in /proc/self/maps and in reports; its first 31 bytes
  void* address = nullptr;   ///< a fixed, page-aligned base address (never over another mapping); nullptr: anywhere
  Barrier barrier = Barrier::mprotect;
  /// A promise: whenever a snapshot or a clone is taken, no thread but the calling one is writing the arena; between
  /// cuts any may. Barrier::kernel needs it, and keeps to signals where nobody gives it; under the others pages that
  /// are written again and again stay writable, and each snapshot copies them ahead, for a tenth of what their faults
  /// would cost. A process without threads has this without promising. A broken promise tears snapshots; under
  /// Barrier::kernel a build with assertions finds many of them, and snapshot() throws std::logic_error. Threads made
  /// by raw clone() are not seen by that (__libc_single_threaded): keep one of pthread_create() besides.
  bool quiet_cuts = false;
  bool single_writer = false;  ///< the same, by its older name
  /// Keeps that promise by construction: each snapshot, clone and rollback of the arena and its clones holds an
  /// UpdateGate::Quiet of this gate, and whoever writes holds an Updating. The gate outlives the arenas. A thread that
  /// holds either itself gets std::logic_error from whatever cuts the arena, since it would wait for itself.
  UpdateGate* gate = nullptr;
  /// Whether core dumps hold the arena, its clones and views. madvise(MADV_DONTDUMP) by the program is lost where pages
  /// move to other memory, as they do once a clone, a view or a fork() child shows them; this is not.
  bool in_core_dumps = true;
  /// Moves the lack of memory from faults, which cannot return it, to snapshot(), which throws. Once the constructor or
  /// snapshot() has returned, so many bytes can be copied for snapshots by writes, and logged, with memory that is
  /// there already: until the next snapshot() makes the reserve whole again. Neighbours copied along count; the
  /// arena's capacity is always enough. Shared by all clones. Not covered: the memory of pages never written before,
  /// writes to pages that a view, a clone or a fork() child shows, and the kernel's own memory for mappings. More than
  /// the machine's memory is refused with std::invalid_argument.
  std::size_t reserve_history_bytes = 0;
};

/// One write for Arena::write(): `bytes` bytes from anywhere readable to an arena. Where a batch writes to it must not
/// read from. nullptr is std::invalid_argument, unless `bytes` is 0.
struct Write {
  void* to;
  const void* from;
  std::size_t bytes;
};

class Arena;

namespace detail {
class ArenaBooks;

/// The gate that an arena was given; null for none.
UpdateGate* gate_of(const ArenaBooks* books) noexcept;
UpdateGate* gate_of(const Arena& arena) noexcept;
}  // namespace detail

/// Something that must not be cut in half by a snapshot, such as an allocator's lock: the arena calls
/// before_cut() before each snapshot(), clone(), rollback() and fork(), and after_cut() when it is done or failed.
class COW_API CutHook {
 public:
  virtual ~CutHook() = default;
  virtual void before_cut() = 0;
  virtual void after_cut() noexcept = 0;
  /// In the child of a fork(), before that returns: the arena shows the moment between the two calls, other memory a
  /// later one. So a lock may be held by a thread that the child does not have; it must be made anew, not waited for.
  virtual void in_fork_child() noexcept {}
};

/// A reference to an arena that follows it when the Arena object is moved. Must not be used after the
/// arena is destroyed. Cheap to copy. For what is built on arenas, such as cow::Heap. An empty one has nullptr, 0, ""
/// and false for all that is asked; what would do something throws std::logic_error.
class COW_API ArenaRef {
 public:
  ArenaRef() noexcept = default;

  std::byte* data() const noexcept;
  std::size_t capacity() const noexcept;
  bool contains(const void* p) const noexcept;
  /// As in the options.
  const char* name() const noexcept;

  /// As the Arena's members of the same names.
  void write(void* to, const void* from, std::size_t n) const;
  void write(std::span<const Write> batch) const;
  void write(std::initializer_list<Write> batch) const { write(std::span(batch.begin(), batch.size())); }
  void prepare_write(void* p, std::size_t n) const;
  void discard(void* p, std::size_t n) const;

  /// Whether the page of `p` can be written now without a fault and without a copy. A hint: a snapshot in
  /// another thread may protect it at any time. One relaxed load. `p` must lie in the arena.
  bool is_writable(const void* p) const noexcept;

  /// Whether a page of [p, p + n) is excluded. One relaxed load where nothing in the arena is.
  bool has_excluded(const void* p, std::size_t n) const noexcept;

  /// Advances with every cut (snapshot, clone, rollback): what is_writable() said before may no longer hold.
  std::uint64_t epoch() const noexcept;

  /// The arena's hook; installs what `make` returns if there is none yet. It lives as long as the arena.
  std::shared_ptr<CutHook> cut_hook(const std::function<std::shared_ptr<CutHook>()>& make) const;

  explicit operator bool() const noexcept { return books_ != nullptr; }
  friend bool operator==(const ArenaRef&, const ArenaRef&) noexcept = default;

 private:
  friend class Arena;
  explicit ArenaRef(detail::ArenaBooks* books) noexcept : books_(books) {}

  detail::ArenaBooks* books_ = nullptr;
};

/// A range of memory that can be snapshotted, rolled back and cloned at a cost that grows with what was
/// written, not with its size. It is ordinary memory to read and write, by any code in the process. The
/// first write to each page after a snapshot costs a fault: 7 to 11 microseconds where pages are scattered, one to two
/// in a run of them (measured; bench/README.md has the figures of all that follows). Never-written memory
/// reads as zero.
///
/// Movable, not copyable; the memory stays where it is when the object is moved. Using a moved-from arena
/// throws std::logic_error; its noexcept getters give nullptr and 0.
///
/// Thread safety: any threads may read and write the memory at any time; a snapshot beside running
/// writers is an atomic cut: a write is in it only if all that happened before it is. The members may be
/// called from any threads at once, except that rollback() needs writers to be quiet, and moving and
/// destroying need everything to be.
///
/// fork(): the child has its own copy of the memory, at the same addresses: neither side sees what the other writes
/// later. It is cut like a snapshot, at the moment of fork(), and kept until the child ends or becomes another program.
/// Threads that write meanwhile wait until fork() is done, so that no memory of the child is ahead of its arenas; but
/// where fork() waits for one of them (it holds a lock that some library's pthread_atfork() handler wants, or libc),
/// they go on after 50 ms, at most a second, and what they write between is not in the child's arenas.
/// The members, and older snapshots, throw std::logic_error in a child; views stay readable. Where memory is too short
/// to prepare the copy, the child finds the range inaccessible.
///
/// Errors: std::invalid_argument for arguments that cannot be right, std::system_error when the kernel
/// refuses, naming the operation and its sizes. An operation that throws leaves the content as it was.
class COW_API Arena {
 public:
  explicit Arena(const ArenaOptions& options = {});
  Arena(Arena&&) noexcept;
  Arena& operator=(Arena&&) noexcept;
  ~Arena();

  std::byte* data() const noexcept;
  /// Bytes of address space: what was asked for, rounded up to pages.
  std::size_t capacity() const noexcept;
  bool contains(const void* p) const noexcept;

  /// The place in this arena that `pointer` is in `original`, an arena or a view of the same family: where a clone has
  /// what the original has there, and the other way round. Raw pointers that lie in the memory itself are not changed.
  /// Null for null. Throws std::out_of_range where the whole object is not inside `original`. Cost: some tens of
  /// nanoseconds. See also cow/refuse_writes.hpp.
  template <detail::Mapping Original, class T>
  T* at(const Original& original, T* pointer) {
    return detail::same_place(original, detail::range_of(*this), pointer);
  }
  template <detail::Mapping Original, class T>
  const T* at(const Original& original, const T* pointer) const {
    return detail::same_place(original, detail::range_of(*this), pointer);
  }

  /// The barrier in use; never `automatic`.
  Barrier barrier() const noexcept;

  /// The content as it is now. Cost: under a microsecond, and for each run of pages that were written since the last
  /// one by plain stores 2 to 4 microseconds (mprotect) or 1.3 to 1.6 (userfaultfd).
  /// If nothing was written since the newest snapshot, that version is shared.
  [[nodiscard]] Snapshot snapshot();

  /// A new arena with this content at another address: a snapshot and its clone in one step.
  [[nodiscard]] Arena clone();

  /// The content becomes the snapshot's, at the same addresses. Any snapshot of this arena, older or newer, or the
  /// one it was cloned from, any number of times; all snapshots stay valid. Other threads must not write meanwhile.
  /// Throws std::invalid_argument for a snapshot of another arena. Cost: a copy of each page written since the
  /// snapshot, also by those that were rolled back; for the first rollback to one some 8 microseconds besides.
  void rollback(const Snapshot& snapshot);

  /// The content becomes that of any version of the family, at this arena's addresses: of a clone, of a clone's clone,
  /// of what it was cloned from, or of the arena itself. So what a clone did is kept: adopt(clone.snapshot()). Heaps
  /// come along with all that is in them. Raw pointers into the clone do not: they go on leading there. Use offsets
  /// from data(), or cow::offset_ptr, which hold in both. All snapshots stay valid, and rolling back to one from before
  /// works. Pages that this arena excludes stay what they are, and so do those that the version's own arena had
  /// excluded by then, since it does not have them. Other threads must not write this arena meanwhile; the version's
  /// own arena may be written. Throws std::invalid_argument for a version of another family. Cost: a comparison of each
  /// page that may differ, and a copy of each that does; a snapshot where the logs do not tell which those are.
  void adopt(const Snapshot& version);

  /// Writes like memcpy(to, from, n), for code that knows what it writes: no fault, and nothing that the next snapshot
  /// would have to protect again, since the pages stay as protected as they are (but those that a view or a clone
  /// shows: they move, and are writable then). Cost: half a microsecond; as much again for the first write to a page
  /// after a snapshot, which copies the page; and once in an arena's life 1.3 us for each page, to map it a second
  /// time. A page to be written many times is better written by plain stores. Any thread, at any time, beside plain
  /// stores to other bytes too. Takes as many addresses as the arena, on the first call. With n == 0, where `to` may be
  /// nullptr too, nothing is done.
  void write(void* to, const void* from, std::size_t n);
  /// The same for many at once, in order, at the price of one and a copy of each page. All or nothing: any snapshot has
  /// the whole batch or none of it, and so has the arena when it throws; unless another thread discard()s the same
  /// pages meanwhile. Faults of other threads wait for it. More than 1 MiB is read meanwhile: it must stay readable.
  void write(std::span<const Write> batch);
  void write(std::initializer_list<Write> batch) { write(std::span(batch.begin(), batch.size())); }

  /// Makes [p, p+n) writable now, as writing to each page would, but without faults: for bulk writes, and for
  /// buffers handed to system calls, which fail with EFAULT on a protected page. A later snapshot undoes it. With
  /// n == 0, where p may be nullptr too, nothing is done. Under Barrier::kernel nothing is protected: there it is for
  /// devices alone, whose buffers it gives memory of their own once there was a snapshot; each page so prepared is
  /// copied by the next snapshot.
  void prepare_write(void* p, std::size_t n);

  /// Whole pages inside [p, p+n) read as zero again; their memory returns when no snapshot needs it. With n == 0,
  /// where p may be nullptr too, nothing is done.
  void discard(void* p, std::size_t n);

  /// Takes whole pages out of snapshots, for what must outlive a rollback: coverage maps, statistics, logs, the state
  /// of a random generator. They keep what they hold, and from here on they are ordinary memory of the process, at the
  /// same place: never protected, so that system calls may write there at any time, never copied, and left alone by
  /// rollback(), adopt(), merge() and transactions: of this arena, and of relatives that take a version from then on.
  /// Snapshots taken from here on show zeros there, in views, reads and
  /// saved files too; older ones go on showing what they showed. In clones of them the pages are excluded as well, each
  /// clone has memory of its own there, which begins as zero. A fork() child has a copy of its moment, as of all
  /// memory. changed_since() never names them. discard() makes them zero, write() and prepare_write() work as on
  /// memory. For good: there is no way back. A saved file does not tell; exclude them again after load().
  ///
  /// [p, p + n) must be whole pages, which throws std::invalid_argument otherwise; with n == 0, where p may be nullptr
  /// too, nothing is done, and so where all of it is excluded already. In an arena that holds a heap only pages inside
  /// one large block in use (of more than 8 KiB) may be excluded, allocated with a page's alignment, and none while a
  /// transaction is open, also where a rollback has taken the heap away; else std::logic_error. The heap keeps such a
  /// block: freeing it is refused, and counted, as is that of no block, and it does not shrink or move.
  /// rollback(), adopt() and merge() refuse, by std::logic_error, content whose heap
  /// does not have this very block, and would put other things there: from before it was allocated, or where it was
  /// freed, also where another block lies in its place. Where the arena held no heap when they were excluded, all that
  /// has a heap is refused. The remedy: exclude early, or make a clone of such a version.
  /// Where it throws, nothing has changed; where parts in the middle were excluded before, each part between is a step
  /// of its own. Other threads may read and store to the pages meanwhile; a system call that is writing there meanwhile
  /// may be lost. Takes memory beside the arena's file, as much as is in use there. Cost: some 20 microseconds, and a
  /// copy of what the pages hold, while faults of other threads wait.
  void exclude(void* p, std::size_t n);

  /// The pages that may differ from the snapshot's content: sorted, disjoint, a superset of those that do.
  std::vector<PageRange> changed_since(const Snapshot& snapshot) const;

  /// Counters and levels of one instant. Any thread. Cost: some microseconds; under Barrier::kernel also a walk over
  /// the page table, as at a cut.
  ArenaStats stats() const;

  /// For a human: where it lies, its snapshots and what each alone costs, its clones, statistics and page map. The form
  /// may change. Cost: that of the parts; up to milliseconds.
  std::string dump() const;

  /// A reference that follows this arena when it is moved. Throws std::logic_error when moved from.
  ArenaRef ref() const;

 private:
  friend struct detail::Access;
  explicit Arena(detail::ArenaBooks* adopted) noexcept : books_(adopted) {}

  detail::ArenaBooks* books_ = nullptr;
};

}  // namespace cow

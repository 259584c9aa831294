// The books of one arena: what each page shows, what can be written, the chain of snapshots, and what it
// shares with its clones. Outlives the arena for as long as a snapshot of it lives. No rule and no system call
// on pages here.
#pragma once

#include <array>
#include <atomic>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "books/block_policy.hpp"
#include "books/fronts.hpp"
#include "books/idle_view.hpp"
#include "books/kept_pages.hpp"
#include "books/lending.hpp"
#include "books/lineage.hpp"
#include "books/live_readers.hpp"
#include "books/page_table.hpp"
#include "books/run_list.hpp"
#include "books/undo_log.hpp"
#include "cow/arena.hpp"
#include "cow/snapshot.hpp"
#include "cow/stats.hpp"
#include "kernel/book_memory.hpp"
#include "kernel/fault_lock.hpp"
#include "kernel/page_set.hpp"
#include "kernel/slab.hpp"
#include "storage/frame_file.hpp"
#include "words/held.hpp"
#include "words/units.hpp"

namespace cow {

class Transaction;
struct WriteBarrier;
struct FaultSlot;

/// The saved content that a family began with, and where each of its pages is; nothing for most.
struct LoadedFrom {
  bool any = false;
  std::array<std::byte, 16> content{};  // which content it is, across processes
  RunList runs;                         // what is read from the files
  BookVector<Pages> copied;             // what was read when it was loaded, over that; ascending, apart
  BookVector<std::uint64_t> sums;       // of each of those pages
};

/// What an arena shares with its clones, their clones and the snapshots of all of them.
struct Family {
  explicit Family(std::uint64_t pages) noexcept : file(pages), lending(file) {}

  const std::uint64_t serial = next_serial.fetch_add(1, std::memory_order_relaxed);  // of all that the process had
  static inline std::atomic<std::uint64_t> next_serial{1};
  LoadedFrom loaded_from;  // never changed once others know of the family
  FrameFile file;
  Lending lending;
  Lineage lineage;                            // of the arenas whose books there are
  std::atomic<std::uint64_t> members{1};      // books; the last one takes the family along
  std::atomic<std::uint64_t> next_version{1}; // names versions and arenas for good
};

/// What the handler counts, under the fault lock; stats() adds the levels.
struct FaultCounters {
  std::uint64_t first_touch = 0, sole_owner = 0, moved = 0, to_history = 0;

  std::uint64_t copied() const noexcept { return moved + to_history; }
};

namespace detail {

/// How far a version's logs have been swept. Says nothing unless all of it belongs together.
struct Swept {
  Epoch to;                 // the version whose log was the newest then
  UndoLog::Mark mark;       // and where that log ended
  std::uint64_t drops = 0;  // and how many versions had been dropped: that changes the logs
};

/// One version of an arena. Who reads it by a handle asks what is not marked without a lock.
class Version : public ListHook {
 public:
  Version(ArenaBooks& of, Epoch at, std::uint64_t named) noexcept : books(of), epoch(at), name(named) {}

  ArenaBooks& books;
  const Epoch epoch;
  const std::uint64_t name;               // unique in the family
  std::atomic<std::uint64_t> handles{1};  // reaches 0 only under the operation mutex
  UndoLog log;                            // what was written since, up to the next version; grows under the fault lock

  // Of the logs from this version on, as far as swept; its frames stay for it. Changed in operations, read by anyone.
  KeptPages kept;
  COW_BY_OPERATION Swept swept;

  // The whole content. Right for as long as loans of this epoch are out, and while no page that was lent is written in
  // place: see runs_are_right().
  COW_BY_OPERATION RunList runs;
  COW_BY_OPERATION std::uint64_t log_is_partial : 1 = 0;  // it was let go of bit by bit, while it was saved
  COW_BY_OPERATION std::uint64_t listed_at : 63 = 0;  // how many such pages there had been: ArenaBooks::lent_pages_kept
  COW_BY_OPERATION RunList flattened;     // frames of its own, for pages that were too scattered to map
};

/// What a page copied ahead looked like some intervals ago.
struct WatchedPage {
  Page page;
  std::uint64_t fingerprint;
};

/// Which gap between opened pages a barrier closes next, and how long it may be.
struct OpenedGaps {
  Page next;
  std::uint64_t longest = 0;
};

/// Pages that a fault opened beside the one that was stored to. A rollback protects again those that nobody has stored
/// to either, and the next one to that version leaves them alone.
struct CameAlong {
  static constexpr int sets = 2;

  PageSet unseen;             // opened so, and not looked at since
  PageSet unchanged;          // protected, and as that version shows them; none that was written or moved since
  std::uint64_t version = 0;  // its name

  void forget() noexcept {
    unchanged.clear();
    version = 0;
  }
};

/// Where one mapping ends and the next begins: because the frames do not follow each other, or only because one
/// mapping may be written and the next may not. Where a page's mapping is writable just when the page is, the latter
/// merge again when pages are protected.
struct Edges {
  std::uint64_t all = 0, of_protection = 0;

  friend Edges operator+(const Edges& a, const Edges& b) noexcept {
    return {a.all + b.all, a.of_protection + b.of_protection};
  }
};

/// The barrier in use. Changed under the fault lock, asked by anyone.
class BarrierInUse {
 public:
  BarrierInUse& operator=(const WriteBarrier* chosen) noexcept {
    return barrier_.store(chosen, std::memory_order_release), *this;
  }
  const WriteBarrier* operator->() const noexcept { return barrier_.load(std::memory_order_acquire); }
  const WriteBarrier& operator*() const noexcept { return *barrier_.load(std::memory_order_acquire); }

 private:
  std::atomic<const WriteBarrier*> barrier_{nullptr};
};

/// How an arena came by its barrier, and what speaks for another.
struct BarrierChoice {
  std::uint64_t changes = 0;
  const char* why = "asked for";
  std::uint64_t regret_ns = 0;      // what the other kind would have saved, in cuts running
  std::uint64_t spent_ns = 0, elsewhere_ns = 0;             // meanwhile: by this kind, and what the other would have
  std::uint64_t by_mprotect_ns = 0, by_userfaultfd_ns = 0;  // what those would have cost meanwhile
  unsigned cuts_regretted = 0, cuts_since_change = 0;
  unsigned patience = 1;            // more where changes followed each other soon
  std::uint64_t pages_before = 0, faults_before = 0, moved_before = 0;  // as counted at the last cut

  void forget_costs() noexcept {
    regret_ns = spent_ns = elsewhere_ns = by_mprotect_ns = by_userfaultfd_ns = 0;
    cuts_regretted = 0;
  }
};

class ArenaBooks {
 public:
  ArenaBooks(Family& of, BookBuffer memory, std::uint64_t pages) noexcept;
  static std::size_t bytes_for(std::uint64_t pages) noexcept;

  // -- What a page shows; with the fault lock or, for a hint, without --------------------------------------------

  Epoch birth_of(Page p) const noexcept {
    const PageTable::Entry entry = table.get(p);
    if (entry.birth != never_written) return entry.birth;
    return borrower.base.find(p) != zero_frame ? borrowed_birth : never_written;
  }
  /// The frame mapped at page p: its own, the borrowed one, or the empty one at home.
  Frame frame_of(Page p) const noexcept {
    const PageTable::Entry entry = table.get(p);
    if (entry.birth != never_written) return {entry.plane * pages + p.value};
    const Frame frame = borrower.base.find(p);
    return frame != zero_frame ? frame : home->frame_of(p);
  }
  /// The pages that versions and rollbacks leave alone; each was born when it was excluded. Once yes it stays so.
  bool is_excluded(Page p) const noexcept {
    return any_excluded.load(std::memory_order_acquire) && excluded.contains(p);
  }
  /// Whether it was so already in a version of this arena.
  bool is_excluded_at(Page p, Epoch at) const noexcept { return is_excluded(p) && table.get(p).birth <= at; }
  std::byte* address_of(Page p) const noexcept { return base + (p.value << page_shift); }
  Page page_of(const void* address) const noexcept {
    return {static_cast<std::uint64_t>(static_cast<const std::byte*>(address) - base) >> page_shift};
  }
  std::size_t bytes(std::uint64_t count) const noexcept { return count << page_shift; }

  /// Whether there is an arena at `base`: not before it is opened, and not when only snapshots are left of it.
  bool mapped() const noexcept { return base != nullptr && !live_readers.is_closed(); }

  void use_barrier(const WriteBarrier& chosen, bool splits) noexcept {
    barrier = &chosen, writable_pages_split = splits;
  }

  /// The pages whose mappings may be written.
  const PageSet& in_writable_mappings() const noexcept COW_FAULT_LOCKED {
    return writable_pages_split ? writable : opened;
  }

  /// The newest snapshot's epoch; with none nothing is logged.
  Epoch newest_epoch() const noexcept COW_FAULT_LOCKED { return newest == nullptr ? borrowed_birth : newest->epoch; }

  /// Mappings that begin at or behind `first`, up to and with the one that begins at `end`: to compare before and
  /// after.
  Edges edges(Pages run) const noexcept COW_FAULT_LOCKED;
  void count_mappings(const Edges& before, const Edges& after) noexcept COW_FAULT_LOCKED;
  void count_mappings(std::uint64_t more) noexcept COW_FAULT_LOCKED;  // modulo 2^64: fewer too

  /// The content of pages may be another one from here on.
  void may_change(Pages run) noexcept COW_FAULT_LOCKED {
    if (!came_along.unchanged.empty()) came_along.unchanged.erase(run);
  }
  /// They can be written from here on.
  void call_writable(Pages run) noexcept COW_FAULT_LOCKED {
    writable.insert(run);
    may_change(run);
  }

  // -- Fixed at birth --------------------------------------------------------------------------------------------

  Family& family;
  BookBuffer memory_;                 // holds this object too
  const std::uint64_t pages;
  int page_shift = 12;
  std::byte* base = nullptr;          // where the arena is, or was
  std::byte* reservation = nullptr;   // with a guard page on each side, where the address was ours to choose
  std::size_t reserved_bytes = 0;
  bool layers_copied = false;         // scattered pages of saved files were copied over the mapping round them
  std::uint64_t generation = 0;       // the process that made it
  std::uint64_t base_version = 0;     // the version it was cloned from; 0: none
  Plane* home = nullptr;
  BarrierInUse barrier;               // changed under the fault lock, read by anyone
  FaultSlot* slot = nullptr;          // in the registry, which foreign faults read
  FaultLock* fault_lock = nullptr;    // there
  os::Descriptor barrier_fd;          // what the barrier opened for the process
  bool in_core_dumps = true;
  bool quiet_cuts = false;            // promised: nobody else writes while a snapshot is taken
  UpdateGate* gate = nullptr;         // where given, it is what keeps that promise
  Barrier asked = Barrier::mprotect;  // for which barrier
  bool writable_pages_split = true;   // whether writable pages are mappings of their own
  char name[32] = {};

  // -- The fault lock covers these ---------------------------------------------------------------------------------

  PageTable table;  // changed under it, read by anyone
  COW_BY_FAULT_LOCK PageSet own;  // pages that show frames of the arena's own
  COW_BY_FAULT_LOCK PageSet away;  // of those, the ones that are not at home
  // Of those own, the ones that were discarded: they read as zero, and their frames hold nothing.
  COW_BY_FAULT_LOCK PageSet blank;
  // Of those own, the ones that may have no memory: opened, and never stored to for all we know.
  COW_BY_FAULT_LOCK PageSet hollow;
  // Of those blank, the ones that were excluded: their mapping is private memory of the process, and not their frame.
  // They stay so for good. Changed under the lock, asked without it by is_excluded().
  PageSet excluded;
  COW_BY_FAULT_LOCK std::uint64_t excluded_seams = 0;  // places where excluded pages of two mappings touch
  // Pages in writable mappings, where that is another thing than pages that can be written.
  COW_BY_FAULT_LOCK PageSet opened;
  COW_BY_FAULT_LOCK OpenedGaps gaps;
  COW_BY_FAULT_LOCK PageSet stored_to;  // pages written past their protection before: the home alias is worth its fault
  COW_BY_FAULT_LOCK PageSet writable;  // pages that can be written now; each has the current epoch for its birth
  // Of those, the ones that somebody counts on: they stay so until the next snapshot.
  COW_BY_FAULT_LOCK PageSet prepared;
  // Changed under the lock; asked without it where nobody else writes.
  CameAlong came_along;
  COW_BY_FAULT_LOCK BarrierChoice choice;
  Fronts fronts;  // under the kernel barrier; what is in use there may be asked without the lock
  // Others are protected before their time where mappings are short, in turn; up to this one last.
  COW_BY_FAULT_LOCK Page closed_up_to;
  COW_BY_FAULT_LOCK Epoch epoch = first_epoch;
  COW_BY_FAULT_LOCK bool written = false;  // anything, since the newest version was taken
  // A kernel call failed half-way: of the writable pages, some may be protected.
  COW_BY_FAULT_LOCK bool half_protected = false;
  COW_BY_FAULT_LOCK Version* newest = nullptr;
  COW_BY_FAULT_LOCK BookVector<Plane*> planes;  // further ones
  COW_BY_FAULT_LOCK LogMemory log_memory;
  // Of the mappings, those that only what may be written tells apart.
  COW_BY_FAULT_LOCK std::uint64_t writable_edges = 0;
  COW_BY_FAULT_LOCK std::uint64_t mappings = 0;  // as counted; the kernel's count is never higher while merging works
  COW_BY_FAULT_LOCK BlockPolicy blocks;
  COW_BY_FAULT_LOCK PageSet written_twice;  // pages written in two intervals near each other
  COW_BY_FAULT_LOCK PageSet recurring;  // and in a third
  // Of those, the ones that the newest version has copies of and that stayed writable.
  COW_BY_FAULT_LOCK PageSet staying;
  COW_BY_FAULT_LOCK BookVector<Frame> copies;  // frames for the copies of the staying pages, while they are being made
  COW_BY_FAULT_LOCK BookVector<WatchedPage> watched;  // the pages that stayed writable when the watch began
  COW_BY_FAULT_LOCK unsigned intervals_watched = 0;
  COW_BY_FAULT_LOCK FaultCounters faults, made_writable;
  COW_BY_FAULT_LOCK std::uint64_t made_before_cut = 0;  // pages made writable up to the last cut
  COW_BY_FAULT_LOCK std::uint64_t faults_already_done = 0;
  // Pages of versions on loan that were written in place, their content being kept in history.
  COW_BY_FAULT_LOCK std::uint64_t lent_pages_kept = 0;
  COW_BY_FAULT_LOCK std::uint64_t copied_along = 0;  // pages that faults copied beside the one that was written
  COW_BY_FAULT_LOCK DurationHistogram handler_time;

  // -- No lock covers these: readers of versions ask them -----------------------------------------------------------

  LiveReaders live_readers;             // closed when the arena goes
  std::atomic<bool> any_excluded{false};
  std::atomic<std::uint64_t> last_exclusion{0};  // its epoch
  // What asks whether a version's heap has blocks round what is excluded; null where nothing is. See arena/exclude.hpp.
  std::atomic<bool (*)(const ArenaBooks&, const Snapshot&)> blocks_there{nullptr};
  // All of home once more, writable; null until somebody wants it. Made under the fault lock, gone with the arena.
  std::atomic<std::byte*> home_alias{nullptr};
  std::atomic<std::uint64_t> moves{0};  // odd while pages may show frames that their entries do not tell yet

  // -- The file's lock covers these -------------------------------------------------------------------------------

  Borrower borrower;
  COW_BY_FILE_LOCK Loan* loan = nullptr;
  Lender lender;
  Line line;

  // -- The operation mutex covers these; never taken in the handler -----------------------------------------------

  std::mutex operation;
  // Oldest first.
  COW_BY_OPERATION boost::intrusive::list<Version, boost::intrusive::constant_time_size<true>> versions;
  COW_BY_OPERATION Slab<sizeof(Version)> version_memory;
  COW_BY_OPERATION SweepRoom sweep_room;
  COW_BY_OPERATION std::uint64_t dropped_versions = 0;
  COW_BY_OPERATION IdleView idle_view;
  COW_BY_OPERATION std::shared_ptr<CutHook> hook;
  std::atomic<std::uint64_t> cuts{0};  // what ArenaRef::epoch() tells
  std::atomic<Transaction*> innermost{nullptr};  // of the open transactions; changed by their threads' operations
};

/// While it lives, pages move to other frames: readers of their memory must not believe the entries.
class Moving {
 public:
  explicit Moving(ArenaBooks& books) noexcept : books_(books) { books_.moves.fetch_add(1, std::memory_order_seq_cst); }
  ~Moving() { books_.moves.fetch_add(1, std::memory_order_seq_cst); }
  Moving(const Moving&) = delete;
  Moving& operator=(const Moving&) = delete;

 private:
  ArenaBooks& books_;
};

}  // namespace detail

using detail::ArenaBooks;
using detail::BarrierChoice;
using detail::CameAlong;
using detail::Edges;
using detail::Moving;
using detail::Swept;
using detail::Version;
using detail::WatchedPage;

/// Mappings of all arenas and views of the process, and how many they should keep to, so that the rest of the program
/// can still map memory.
struct MappingBudget {
  static std::atomic<std::uint64_t> used;
  static std::uint64_t limit() noexcept;  // set by the first arena

  static void set_limit(std::uint64_t mappings) noexcept;
  static std::uint64_t left() noexcept {
    const std::uint64_t now = used.load(std::memory_order_relaxed), most = limit();
    return now < most ? most - now : 0;
  }
  /// So few that some are saved before more are taken.
  static bool is_short(std::uint64_t wanted = 0) noexcept { return left() < 16 + wanted; }
};

}  // namespace cow

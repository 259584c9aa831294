// Who shows frames of others. A clone borrows frames by its list of runs; a loan tells the lender which of its
// pages others may show. A frame that its owner gave up while clones still show it is loose, and goes with the last of
// them. The file's lock covers all of it.
#pragma once

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstdint>

#include "books/run_list.hpp"
#include "kernel/book_memory.hpp"
#include "kernel/page_set.hpp"
#include "kernel/slab.hpp"
#include "storage/frame_file.hpp"
#include "words/held.hpp"
#include "words/units.hpp"

namespace cow {

using ListHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>;
using SetHook = boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>;

/// What a clone borrows: the runs it started with, less the pages it needs no more, neither live nor for a snapshot of
/// its own.
struct Borrower : ListHook {
  RunList base;
  COW_BY_FILE_LOCK PageSet ended;
  COW_BY_FILE_LOCK bool listed = false;  // not where the base lies in saved files, which nobody owns

  bool shows(Page p, Frame frame) const noexcept COW_FILE_LOCKED { return base.find(p) == frame && !ended.contains(p); }
};

struct Lender;

/// Pages of one arena up to one epoch may be shown by others: by a view, or by a clone and all that descends from it.
/// Of a clone's loan the borrowers tell page by page who shows what; of others nobody does: all of it may be shown.
struct Loan : SetHook {
  COW_BY_FILE_LOCK Lender* lender = nullptr;  // null when that arena is gone: nobody writes its pages any more
  Epoch epoch;
  Loan* parent = nullptr;    // the loan that the lender itself lives on
  COW_BY_FILE_LOCK std::uint64_t holders = 0;
  COW_BY_FILE_LOCK bool told_by_borrowers = false;

  friend bool operator<(const Loan& a, const Loan& b) noexcept { return a.epoch < b.epoch; }
};

/// An arena as one that lends.
struct Lender {
  COW_BY_FILE_LOCK boost::intrusive::multiset<Loan> loans;       // of all pages, for all that is known
  COW_BY_FILE_LOCK boost::intrusive::multiset<Loan> to_borrowers;
  // The newest epoch on loan, and the newest of the former loans. Raised under the arena's fault lock too.
  std::atomic<std::uint64_t> lent_epoch{0}, whole_epoch{0};
};

class Lending {
 public:
  explicit Lending(FrameFile& file) noexcept : file_(file) {}

  // -- Loans, with the file's lock held -----------------------------------------------------------------------

  os::Error make_room_for_loan() noexcept COW_FILE_LOCKED { return loan_memory_.make_room(1); }
  /// After make_room_for_loan(). `lender` is null where that arena is gone; `own` is what it lives on itself, or null.
  Loan* lend(Lender* lender, Epoch epoch, Loan* own) noexcept COW_FILE_LOCKED;
  static bool lent(const Lender& lender, Epoch epoch) noexcept COW_FILE_LOCKED;
  /// Whether an epoch is on a loan of all pages: then no page of it is written in place.
  static bool lent_as_a_whole(const Lender& lender, Epoch epoch) noexcept COW_FILE_LOCKED;
  void give_back(Loan* loan) noexcept COW_FILE_LOCKED;
  /// The lender's arena is gone.
  static void stop_lending(Lender& lender) noexcept COW_FILE_LOCKED;

  /// Its base is complete, and each frame in it is kept by someone else until now. What it shows by its loan it tells
  /// from here on.
  void add(Borrower& borrower, Loan& loan) noexcept COW_FILE_LOCKED;
  /// After end_borrowing() of all its pages.
  void remove(Borrower& borrower) noexcept COW_FILE_LOCKED {
    borrowers_.erase(borrowers_.iterator_to(borrower));
    borrower.listed = false;
  }
  bool anyone_borrows() const noexcept COW_FILE_LOCKED { return !borrowers_.empty(); }
  /// How many clones show this frame. Cost: a few words, however many clones there are.
  std::uint32_t borrowers_of(Frame frame) const noexcept COW_FILE_LOCKED { return file_.times_shown(frame); }

  // -- Frames, without the lock: they take it. Run in the signal handler, with asynchronous signals blocked. ----

  /// The owner needs the frames no more: they go to the last borrowers, or are freed.
  void release(const Run& run, FrameRelease& freed) noexcept COW_SIGNALS_BLOCKED;
  /// A borrower needs its pages of a run no more.
  void end_borrowing(Borrower& borrower, Pages pages, FrameRelease& freed) noexcept COW_SIGNALS_BLOCKED;

 private:
  Page leave(Borrower& borrower, const Run& run) noexcept COW_FILE_LOCKED;
  bool any_loose(const Run& run) noexcept COW_FILE_LOCKED;
  bool return_loose(Frame frame) noexcept COW_FILE_LOCKED;

  FrameFile& file_;
  COW_BY_FILE_LOCK boost::intrusive::list<Borrower, boost::intrusive::constant_time_size<false>> borrowers_;
  COW_BY_FILE_LOCK Slab<sizeof(Loan)> loan_memory_;
};

}  // namespace cow

// Loans, and frames that pass from their owner to the last borrower.
#include "books/lending.hpp"

#include <algorithm>

#include "words/mutants.hpp"

namespace cow {
namespace {

using Loans = boost::intrusive::multiset<Loan>;

std::uint64_t newest_of(const Loans& loans) noexcept { return loans.empty() ? 0 : loans.rbegin()->epoch.value; }

void refresh_epochs(Lender& lender) noexcept COW_FILE_LOCKED {
  const std::uint64_t whole = newest_of(lender.loans);
  lender.whole_epoch.store(whole, std::memory_order_relaxed);
  lender.lent_epoch.store(std::max(whole, newest_of(lender.to_borrowers)), std::memory_order_relaxed);
}

Loans& list_of(Lender& lender, const Loan& loan) noexcept COW_FILE_LOCKED {
  return loan.told_by_borrowers ? lender.to_borrowers : lender.loans;
}

bool any_of_epoch(const Loans& loans, Epoch epoch) noexcept COW_FILE_LOCKED {
  Loan wanted;
  wanted.epoch = epoch;
  return loans.find(wanted) != loans.end();
}

/// The nearest loan upwards whose lender still lives: those between protect nothing, and chains of clones stay short.
Loan* nearest_living(Loan* loan) noexcept COW_FILE_LOCKED {
  while (loan != nullptr && loan->lender == nullptr) loan = loan->parent;
  return loan;
}

}  // namespace

Loan* Lending::lend(Lender* lender, Epoch epoch, Loan* own) noexcept {
  Loan* loan = ::new (loan_memory_.take()) Loan;
  loan->lender = lender;
  loan->epoch = epoch;
  loan->parent = nearest_living(own);
  loan->holders = 1;
  if (loan->parent != nullptr) ++loan->parent->holders;
  if (lender != nullptr) {
    lender->loans.insert(*loan);
    refresh_epochs(*lender);
  }
  return loan;
}

bool Lending::lent(const Lender& lender, Epoch epoch) noexcept {
  return any_of_epoch(lender.loans, epoch) || any_of_epoch(lender.to_borrowers, epoch);
}

bool Lending::lent_as_a_whole(const Lender& lender, Epoch epoch) noexcept { return any_of_epoch(lender.loans, epoch); }

void Lending::give_back(Loan* loan) noexcept {
  while (loan != nullptr && --loan->holders == 0) {
    if (loan->lender != nullptr) {
      Loans& loans = list_of(*loan->lender, *loan);
      loans.erase(loans.iterator_to(*loan));
      refresh_epochs(*loan->lender);
    }
    Loan* const parent = loan->parent;
    loan_memory_.give_back(loan);
    loan = parent;
  }
}

void Lending::stop_lending(Lender& lender) noexcept {
  const auto forget = [](Loan* loan) COW_FILE_LOCKED { loan->lender = nullptr; };
  lender.loans.clear_and_dispose(forget);
  lender.to_borrowers.clear_and_dispose(forget);
  refresh_epochs(lender);
}

void Lending::add(Borrower& borrower, Loan& loan) noexcept {
  borrowers_.push_back(borrower);
  borrower.listed = true;
  if (loan.lender != nullptr) {
    loan.lender->loans.erase(loan.lender->loans.iterator_to(loan));
    loan.lender->to_borrowers.insert(loan);
    loan.told_by_borrowers = true;
    refresh_epochs(*loan.lender);
  }
  for (const Run& run : borrower.base) {
    file_.count_shown(run.frame, run.count, true);
    if (!any_loose(run)) continue;
    for (std::uint64_t i = 0; i < run.count; ++i) {
      std::uint32_t& loose = file_.loose_count(run.frame + i);
      if (loose != 0) ++loose;
    }
  }
}

void Lending::release(const Run& run, FrameRelease& freed) noexcept {
  bool may_be_shown = false;
  {
    FaultLockHeld held(file_.lock());
    may_be_shown = anyone_borrows() && !mutant(Mutant::release_ignores_borrowers);
  }
  // Only who shows a frame can pass it on to another clone, and the owner is giving it up: nobody begins to show it
  // now.
  if (!may_be_shown) {
    if (History::owns(run.frame)) {
      for (std::uint64_t i = 0; i < run.count; ++i) freed.add(run.frame + i);
    } else {
      freed.add(run.frame, run.count);
    }
    return;
  }
  for (std::uint64_t i = 0; i < run.count; ++i) {
    std::uint32_t borrowers = 0;
    {
      FaultLockHeld held(file_.lock());
      borrowers = borrowers_of(run.frame + i);
      if (borrowers != 0) {
        file_.loose_count(run.frame + i) = borrowers;
        file_.count_loose(run.frame + i, true);
      }
    }
    if (borrowers == 0) freed.add(run.frame + i);
  }
}

bool Lending::return_loose(Frame frame) noexcept {
  std::uint32_t& count = file_.loose_count(frame);
  if (count == 0 || --count != 0) return false;
  file_.count_loose(frame, false);
  return true;
}

bool Lending::any_loose(const Run& run) noexcept {
  if (History::owns(run.frame)) return file_.loose_frames() != 0;
  const Plane* plane = file_.find_plane(run.frame);
  return plane != nullptr && plane->loose != 0;  // it is gone when all that was borrowed of it has ended
}

/// The borrower shows pages of this part of its base no more: those up to the one that is returned, since whoever else
/// wants the lock is not to wait for long.
Page Lending::leave(Borrower& borrower, const Run& run) noexcept {
  constexpr int most_parts = 256;
  PageSet& ended = borrower.ended;
  Page p = run.first;
  for (int part = 0; part < most_parts && p < run.end(); ++part) {
    const Page first = ended.next_absent(p, run.end());
    p = std::min(ended.next(first), run.end());
    if (borrower.listed && first < p) file_.count_shown(run.frame_of(first), p - first, false);
  }
  ended.insert({run.first, p - run.first});
  return p;
}

void Lending::end_borrowing(Borrower& borrower, Pages pages, FrameRelease& freed) noexcept {
  for (const Run* run = borrower.base.from(pages.first); run != borrower.base.end() && run->first < pages.end();
       ++run) {
    const Page first = std::max(run->first, pages.first), end = std::min(run->end(), pages.end());
    Page at = first;
    while (at < end) {
      Frame let_go = zero_frame;
      {
        FaultLockHeld held(file_.lock());
        if (!any_loose(*run)) {
          at = leave(borrower, {at, end - at, run->frame_of(at)});
          continue;
        }
        if (!borrower.ended.contains(at) && return_loose(run->frame_of(at))) let_go = run->frame_of(at);
        (void)leave(borrower, {at, 1, run->frame_of(at)});
      }
      if (let_go != zero_frame) freed.add(let_go);
      ++at;
    }
  }
}

}  // namespace cow

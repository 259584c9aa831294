// See arena/barrier_costs.hpp.
#include "arena/barrier_costs.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "barrier/barrier.hpp"
#include "books/block_policy.hpp"
#include "rule/copy_ahead.hpp"

namespace cow {
namespace {

// Measured on 6.18 and rounded; the ratios count. A run: pages written that are neighbours.
struct Cost {
  std::uint64_t fault_ns, page_ns;
};
constexpr Cost by_mprotect{8'500, 500}, by_userfaultfd{5'000, 800};
constexpr std::uint64_t move_ns = 10'000;  // more, for a page that has to leave, and comes home
/// Under the kernel barrier nothing but another write brings a page back while others show older versions, so that each
/// new version is scattered over all that ever left: mapped, or copied together, for the next clone or view.
constexpr std::uint64_t away_ns = 2'500;
constexpr std::uint64_t front_ns = 1'700, new_front_ns = 3'800, run_ns = 500, drop_ns = 300, copy_back_ns = 150;
constexpr std::uint64_t scan_ns_per_1024_pages = 1'500;
/// 25 where few pages have been read since they were mapped, 160 where all have; and what the first writes to each part
/// of the arena cost more afterwards.
constexpr std::uint64_t change_ns_per_page = 100;
constexpr unsigned fewest_cuts = 4, soon = 64, most_patience = 64;

std::uint64_t populated_pages(const ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  return books.own.count() - books.excluded.count() + books.borrower.base.pages();
}

/// How many faults let that many pages be written, in so many runs: each begins with a block of one page.
std::uint64_t faults_for(std::uint64_t pages, std::uint64_t runs) noexcept {
  if (runs == 0) return 0;
  const std::uint64_t length = pages / runs;
  constexpr std::uint64_t doubling = 2 * BlockPolicy::longest_block - 1;
  const auto first = static_cast<std::uint64_t>(std::bit_width(std::min(length, doubling)));
  return runs * (first + (length > doubling ? (length - doubling) / BlockPolicy::longest_block : 0));
}

struct Written {
  std::uint64_t pages = 0, faults = 0, moved = 0;
};

std::uint64_t cost(const Cost& of, const Written& written) noexcept {
  return written.faults * of.fault_ns + written.pages * of.page_ns + written.moved * move_ns;
}

/// `news`: of the pages, those that had no front.
std::uint64_t kernel_cost(const ArenaBooks& books, std::uint64_t pages, std::uint64_t news, std::uint64_t runs) noexcept
    COW_FAULT_LOCKED {
  const std::uint64_t fronts = (pages - std::min(pages, news)) * front_ns + news * new_front_ns;
  return populated_pages(books) * scan_ns_per_1024_pages / 1024 + fronts + runs * run_ns;
}

std::uint64_t scattering_cost(const ArenaBooks& books, const Written& written) noexcept COW_FAULT_LOCKED {
  return written.moved == 0 ? 0 : books.away.count() * away_ns;
}

/// The barrier that an arena begins with is a guess, made before anything was written: it has been wrong at every cut.
bool first_guess_was_wrong(const BarrierChoice& choice) noexcept {
  return choice.changes == 0 && choice.cuts_regretted == choice.cuts_since_change;
}

/// How many sixteenths of a change's cost must have been lost by staying. Fewer where one kind costs so much more than
/// the other that no estimate is off by that, and where nothing ever spoke for staying.
std::uint64_t sixteenths_of_a_change(const BarrierChoice& choice) noexcept {
  if (choice.spent_ns >= 3 * choice.elsewhere_ns) return first_guess_was_wrong(choice) ? 1 : 8;
  return 2 * choice.spent_ns >= 3 * choice.elsewhere_ns ? 16 : 32;
}

/// Adds what was spent and what would have been, and says whether the sum speaks for a change.
bool regretted(ArenaBooks& books, std::uint64_t here, std::uint64_t there) noexcept COW_FAULT_LOCKED {
  BarrierChoice& choice = books.choice;
  ++choice.cuts_since_change;
  choice.spent_ns += here;
  choice.elsewhere_ns += there;
  choice.regret_ns += here;
  choice.regret_ns -= std::min(choice.regret_ns, there);
  choice.cuts_regretted = choice.regret_ns == 0 ? 0 : choice.cuts_regretted + 1;
  if (choice.regret_ns == 0) choice.forget_costs();
  const std::uint64_t change = change_ns_per_page * populated_pages(books);
  return choice.cuts_regretted >= fewest_cuts &&
         choice.regret_ns > choice.patience * sixteenths_of_a_change(choice) * change / 16;
}

bool kernel_regretted(ArenaBooks& books, std::uint64_t here, const Written& there) noexcept COW_FAULT_LOCKED {
  BarrierChoice& choice = books.choice;
  const std::uint64_t mprotect = cost(by_mprotect, there), userfaultfd = cost(by_userfaultfd, there);
  choice.by_mprotect_ns += mprotect;
  choice.by_userfaultfd_ns += userfaultfd;
  return regretted(books, here, process_has_one_thread() ? std::min(mprotect, userfaultfd) : userfaultfd);
}

}  // namespace

bool other_was_better(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  BarrierChoice& choice = books.choice;
  const FaultCounters &made = books.made_writable, &caught = books.faults;
  // Pages never written before cost little under any barrier: they are left out.
  const Written all{made.sole_owner + made.moved + made.to_history,
                    caught.sole_owner + caught.moved + caught.to_history, made.moved};
  Written now{all.pages - std::exchange(choice.pages_before, all.pages),
              all.faults - std::exchange(choice.faults_before, all.faults),
              all.moved - std::exchange(choice.moved_before, all.moved)};
  const std::uint64_t runs = std::exchange(books.fronts.runs_collected, 0);
  const std::uint64_t news = std::exchange(books.fronts.fronts_new, 0);
  if (books.barrier->collects) {
    now.faults = faults_for(now.pages, runs);
    return kernel_regretted(books, kernel_cost(books, now.pages, news, runs) + scattering_cost(books, now), now);
  }
  const Cost& of = books.barrier->kind == Barrier::mprotect ? by_mprotect : by_userfaultfd;
  const std::uint64_t there = kernel_cost(books, now.pages, now.pages, std::min(now.faults, now.pages));
  return regretted(books, cost(of, now), there + scattering_cost(books, now));
}

bool signals_were_better(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  Fronts& fronts = books.fronts;
  const std::uint64_t pages = std::exchange(fronts.pages_undone, 0), runs = std::exchange(fronts.runs_undone, 0);
  const std::uint64_t caught = std::exchange(fronts.pages_undone_first, 0);
  const std::uint64_t here = kernel_cost(books, pages, 0, runs) + pages * drop_ns;
  const std::uint64_t faults = pages == 0 ? 0 : faults_for(pages, runs) * caught / pages;
  const std::uint64_t saved = pages * copy_back_ns;  // what signals spend instead
  return kernel_regretted(books, here - std::min(here, saved), {caught, faults, 0});
}

bool mprotect_was_better(const ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  return process_has_one_thread() && books.choice.by_mprotect_ns < books.choice.by_userfaultfd_ns;
}

void note_barrier_change(ArenaBooks& books, const char* why) noexcept COW_FAULT_LOCKED {
  BarrierChoice& choice = books.choice;
  ++choice.changes;
  choice.why = why;
  choice.forget_costs();
  choice.patience = choice.changes > 1 && choice.cuts_since_change < soon ? std::min(4 * choice.patience, most_patience)
                                                                           : 1;
  choice.cuts_since_change = 0;
}

}  // namespace cow

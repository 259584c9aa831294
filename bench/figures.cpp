// Each bar as a ratio of two medians, or as an amount.
#include "figures.hpp"

#include <array>
#include <cstdio>
#include <limits>

#include "catalogue.hpp"
#include "cow/units.hpp"
#include "plan.hpp"

namespace bench {
namespace {

std::string number(double value) {
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), value < 10 ? "%.2f" : "%.0f", value);
  return buffer.data();
}

/// One side of a comparison.
struct Side {
  std::string_view competitor;
  Setting setting;
  Part part = Part::total;
  Part per = Part::total;  // another part to divide by; total: none
};

class Judge {
 public:
  explicit Judge(const Results& results) : results_(results) {}

  void at_most(std::string what, double limit, const Side& ours, std::string_view than, const Side& theirs) {
    const double a = value(ours), b = value(theirs);
    figures_.push_back({std::move(what), "at most " + number(limit) + " of " + std::string(than),
                        time_text(a) + " : " + time_text(b), a / b, limit, false});
  }

  void faster(std::string what, double times, const Side& ours, const Side& theirs) {
    const double a = value(ours), b = value(theirs);
    figures_.push_back({std::move(what), "at least " + number(times) + " times faster than fork",
                        time_text(a) + " : " + time_text(b), b / a, times, true});
  }

  void time_at_most(std::string what, double limit_ns, const Side& ours) {
    const double a = value(ours);
    figures_.push_back({std::move(what), "at most " + time_text(limit_ns), time_text(a), a, limit_ns, false});
  }

  void percent_at_most(std::string what, double limit, const Side& ours) {
    const double a = value(ours);
    figures_.push_back({std::move(what), "at most " + number(limit) + " %", number(a) + " %", a, limit, false});
  }

  void rate_at_least(std::string what, double times, const Side& slower, const Side& faster) {
    const double a = value(slower), b = value(faster);
    figures_.push_back({std::move(what), "at least " + number(times) + " times the rate",
                        time_text(a) + " : " + time_text(b) + " a write", a / b, times, true});
  }

  std::vector<Figure> take() { return std::move(figures_); }

 private:
  double value(const Side& side) const {
    const double value = results_.median(side.competitor, side.setting, side.part);
    if (side.per == Part::total) return value;
    return value / results_.median(side.competitor, side.setting, side.per);
  }

  const Results& results_;
  std::vector<Figure> figures_;
};

Side a_write(std::string_view competitor, const Setting& setting) {
  return {competitor, setting, Part::writes, Part::first_writes};
}

void judge_cycles(Judge& judge) {
  const auto against_fork = [&](std::string_view ours, std::size_t writes, Pattern pattern, double limit,
                                std::string_view fork = name::fork) {
    const Setting setting = settings::cycle(gib, writes, pattern);
    const std::string what = "cycle, " + count_text(writes) + " " + text(pattern) + " writes, " +
                             std::string(ours.substr(ours.find(' ') + 1));
    judge.at_most(what, limit, {ours, setting}, fork == name::fork ? "fork" : "fork, huge pages", {fork, setting});
  };
  against_fork(name::cow, 10'000, Pattern::sequential, 0.5);
  against_fork(name::cow, 1'000, Pattern::zipf, 0.7);
  against_fork(name::cow, 1'000, Pattern::uniform, 0.7);
  against_fork(name::cow_userfaultfd, 1'000, Pattern::uniform, 0.4);
  against_fork(name::cow_userfaultfd, 10'000, Pattern::zipf, 1.0);
  against_fork(name::cow_userfaultfd, 10'000, Pattern::uniform, 1.0);
  against_fork(name::cow_userfaultfd, 100, Pattern::uniform, 0.35, name::fork_huge);
  against_fork(name::cow_userfaultfd, 1'000, Pattern::uniform, 0.8, name::fork_huge);
}

/// What the kernel barrier is held to, by an arena that chooses for itself.
void judge_automatic(Judge& judge) {
  const auto against_fork = [&](std::size_t writes, Pattern pattern, double limit,
                                std::string_view fork = name::fork) {
    const Setting setting = settings::cycle(gib, writes, pattern);
    judge.at_most("cycle, " + count_text(writes) + " " + text(pattern) + " writes, automatic", limit,
                  {name::cow_auto, setting}, fork == name::fork ? "fork" : "fork, huge pages", {fork, setting});
  };
  against_fork(10'000, Pattern::uniform, 0.65);
  against_fork(10'000, Pattern::uniform, 1.1, name::fork_huge);
  against_fork(10'000, Pattern::hot, 0.38);
  against_fork(10'000, Pattern::zipf, 0.5);
  against_fork(1'000, Pattern::uniform, 0.15);
  against_fork(1'000, Pattern::uniform, 0.55, name::fork_huge);
  against_fork(100, Pattern::uniform, 0.35, name::fork_huge);
  against_fork(10'000, Pattern::sequential, 0.25);
  const Setting hot = settings::cycle(gib, 10'000, Pattern::hot);
  judge.at_most("a first write, hot page, automatic", 0.5, a_write(name::cow_auto, hot), "fork's",
                a_write(name::fork, hot));
}

void judge_what_ifs(Judge& judge) {
  const auto against_fork = [&](const char* what, std::string_view ours, const Setting& setting, double limit) {
    const std::string barrier = std::string(ours.substr(ours.find(' ') + 1));
    judge.at_most(std::string(what) + ", " + barrier.substr(barrier.find(' ') + 1), limit, {ours, setting},
                  "fork, reaped", {name::fork_reaped, setting});
  };
  const Setting thousand = settings::what_if(gib, 1'000, 1);
  against_fork("a clone of each version, 1,000", name::clones_auto, thousand, 0.12);
  against_fork("a clone of each version, 10,000", name::clones_auto, settings::what_if(gib, 10'000, 1), 0.5);
  against_fork("a clone of each version, 64 MiB, 100", name::clones_auto, settings::what_if(64 * mib, 100, 1), 0.3);
  against_fork("a view of each version, 1,000", name::views_auto, thousand, 0.15);
  against_fork("16 clones of each version, 1,000", name::clones_auto, settings::what_if(gib, 1'000, 16), 0.2);
  for (const auto ours : {name::clones, name::clones_userfaultfd}) {
    against_fork("a clone of each version, 1,000", ours, thousand, 1);
  }
}

/// In each setting, the arena that chooses for itself against the best of those that were told; the worst of all.
void judge_choice(Judge& judge, const Results& results) {
  constexpr std::string_view chosen = ", automatic";
  const Row* worst = nullptr;
  std::string best_of_worst;
  double worst_ratio = 0;
  for (const Row& row : results.rows()) {
    if (!row.competitor.ends_with(chosen) || row.samples.empty()) continue;
    const std::string kind = row.competitor.substr(0, row.competitor.size() - chosen.size());
    std::string best;
    double best_ns = std::numeric_limits<double>::infinity();
    for (const char* barrier : {", mprotect", ", userfaultfd", ", kernel"}) {
      const double ns = results.median(kind + barrier, row.setting, Part::total);
      if (ns < best_ns) best_ns = ns, best = kind + barrier;
    }
    if (best.empty() || row.at(Part::total) / best_ns <= worst_ratio) continue;
    worst_ratio = row.at(Part::total) / best_ns;
    worst = &row;
    best_of_worst = best;
  }
  if (worst == nullptr) return;
  judge.at_most("automatic's worst cell: " + worst->stage, 1.15, {worst->competitor, worst->setting},
                best_of_worst.substr(best_of_worst.find(", ") + 2), {best_of_worst, worst->setting});
}

void judge_snapshots(Judge& judge, std::string_view ours) {
  const std::string barrier = ", " + std::string(ours.substr(ours.find(' ') + 1));
  const auto against_fork = [&](std::string what, const Setting& setting, double times) {
    judge.faster(what + barrier, times, {ours, setting, Part::snapshot}, {name::fork, setting, Part::snapshot});
  };
  const Setting few = settings::cycle(gib, 100, Pattern::uniform);
  const Setting few_of_many = settings::cycle(8 * gib, 100, Pattern::uniform);
  against_fork("snapshot(), 1,000 scattered pages written", settings::cycle(gib, 1'000, Pattern::uniform), 18);
  against_fork("snapshot(), 100 scattered pages written", few, 60);
  against_fork("snapshot(), nothing written", settings::cycle(gib, 0, Pattern::uniform), 1'000);
  against_fork("snapshot(), 8 GiB, 100 written", few_of_many, 400);
  judge.at_most("snapshot(), 8 GiB, 100 written" + barrier, 1.5, {ours, few_of_many, Part::snapshot},
                "the same at 1 GiB", {ours, few, Part::snapshot});
}

void judge_costs(Judge& judge, std::string_view ours) {
  const std::string barrier = ", " + std::string(ours.substr(ours.find(' ') + 1));
  const bool automatic = ours == name::cow_auto;
  const Setting scattered = settings::cycle(gib, 10'000, Pattern::uniform);
  judge.at_most("a random first write" + barrier, 2.5, a_write(ours, scattered), "fork's",
                a_write(name::fork, scattered));
  judge.time_at_most("clone() of 1 GiB at home" + barrier, 100'000,
                     {automatic ? name::clones_auto : name::clones, settings::clone(0), Part::snapshot});
  judge.time_at_most("rollback() to the newest, a dirty page" + barrier, 1'000,
                     {ours, settings::rollback(1'000), Part::restore, Part::first_writes});
  judge.at_most("rollback loop, 44 runs of 4 pages" + barrier, automatic ? 1.8 : 2, {ours, settings::rollback_loop()},
                "memcpy of the pages", {name::restore_copy, settings::rollback_loop()});
  judge.percent_at_most("bookkeeping, all of 1 GiB touched" + barrier, 0.5,
                        {ours, settings::books(gib / cow::page_size()), Part::level});
  judge.at_most("ordered map, stores and a view" + barrier, 0.6,
                {automatic ? name::map_cow_auto : name::map_cow, settings::map()}, "std::map, fork",
                {name::map_fork, settings::map()});
  judge.rate_at_least("four threads, first writes" + barrier, 2, a_write(ours, settings::threads(1)),
                      a_write(ours, settings::threads(4)));
  judge.at_most("1,000 snapshots alive: snapshot()" + barrier, 1.3, {ours, settings::alive(1'000), Part::snapshot},
                "with one alive", {ours, settings::alive(1), Part::snapshot});
  judge.at_most("1,000 snapshots alive: a first write" + barrier, 1.3, a_write(ours, settings::alive(1'000)),
                "with one alive", a_write(ours, settings::alive(1)));
  judge.at_most("a million scattered writes, a write" + barrier, 2, a_write(ours, settings::million(1'000'000)),
                "10,000 writes'", a_write(ours, settings::million(10'000)));
}

}  // namespace

std::vector<Figure> figures(const Results& results) {
  Judge judge(results);
  judge_cycles(judge);
  judge_automatic(judge);
  judge_what_ifs(judge);
  const Setting four = settings::threads(4);
  judge.at_most("four threads, first writes, quiet cuts", 1, a_write(name::cow_quiet, four), "fork's",
                a_write(name::fork, four));
  judge.at_most("four threads, first writes, quiet cuts", 1.2, a_write(name::cow_quiet, four), "userfaultfd's",
                a_write(name::cow_userfaultfd, four));
  for (const auto ours : {name::cow, name::cow_auto}) judge_snapshots(judge, ours);
  for (const auto ours : {name::cow, name::cow_auto}) judge_costs(judge, ours);
  judge.at_most("ordered map, Arena::write() and Snapshot::read()", 0.5, {name::map_calls, settings::map()},
                "std::map, fork", {name::map_fork, settings::map()});
  judge_choice(judge, results);
  return judge.take();
}

}  // namespace bench

// The stages of each mode, axis by axis.
#include "plan.hpp"

#include <algorithm>
#include <initializer_list>
#include <span>

#include "catalogue.hpp"
#include "cow/units.hpp"
#include "fault_pieces.hpp"
#include "map_trial.hpp"

namespace bench {
namespace {

using Names = std::vector<std::string_view>;

const Names one_snapshot = {name::fork,        name::fork_huge, name::eager,           name::private_mapping,
                            name::textbook,    name::userfaultfd, name::cow,           name::cow_userfaultfd,
                            name::cow_kernel,  name::cow_auto,  name::known_writes};
const Names each_way = {name::fork,       name::fork_huge, name::cow,         name::cow_userfaultfd,
                        name::cow_kernel, name::cow_auto,  name::known_writes};
const Names bars_only = {name::fork,       name::cow,      name::cow_userfaultfd,
                         name::cow_kernel, name::cow_auto, name::known_writes};
const Names parallel = {name::fork, name::userfaultfd, name::cow, name::cow_userfaultfd, name::cow_auto, name::cow_quiet};
const Names both_barriers = {name::cow, name::cow_userfaultfd};
const Names rollbacks = {name::restore_copy, name::restore_private, name::restore_fork,
                         name::cow,          name::cow_userfaultfd, name::cow_kernel,   name::cow_auto};
const Names maps = {name::map_fork, name::map_copy,       name::lmdb,         name::map_cow, name::map_cow_userfaultfd,
                    name::map_cow_kernel, name::map_cow_auto, name::map_calls};
const Names what_ifs = {name::fork_reaped,   name::clones,     name::clones_userfaultfd,
                        name::clones_kernel, name::clones_auto};
const Names what_if_views = {name::fork_reaped, name::views, name::views_userfaultfd, name::views_kernel,
                             name::views_auto};

constexpr unsigned usual_cycles = 5;
constexpr unsigned short_cycles = 200;  // where one takes microseconds

std::vector<std::size_t> sizes(std::initializer_list<std::size_t> values) { return values; }

/// Those that take long for a cycle get fewer in a round.
unsigned cycles_for(std::string_view competitor, unsigned cycles) {
  if (competitor == name::restore_fork) return std::min(cycles, usual_cycles);
  const bool slow = competitor == name::eager || competitor == name::fork_huge || competitor == name::map_copy;
  return slow ? 1 : cycles;
}

class Planner {
 public:
  explicit Planner(unsigned rounds) : rounds_(rounds) {}

  void compare(std::string title, const Names& competitors, const Setting& setting, unsigned cycles = usual_cycles) {
    compare(std::move(title), competitors, std::span(&setting, 1), cycles);
  }

  /// Several settings in one stage, so that they too are interleaved.
  void compare(std::string title, const Names& competitors, std::span<const Setting> some, unsigned cycles) {
    Stage stage{std::move(title), {}, rounds_};
    for (const Setting& setting : some) {
      for (const auto competitor : competitors) {
        if (in_catalogue(competitor, setting)) {
          stage.entries.push_back({competitor, setting, cycles_for(competitor, cycles)});
        }
      }
    }
    if (!stage.entries.empty()) stages_.push_back(std::move(stage));
  }

  void cycle(const Names& competitors, std::size_t bytes, std::size_t writes, Pattern pattern) {
    std::string title = "cycle, " + size_text(bytes) + ", ";
    title += writes == 0 ? "nothing written" : count_text(writes) + " " + text(pattern);
    compare(std::move(title), competitors, settings::cycle(bytes, writes, pattern));
  }

  void anatomy(const Setting& pieces, const Setting& whole) {
    const auto names = fault_pieces();
    compare("anatomy of a fault", Names(names.begin(), names.end()), pieces);
    for (const auto competitor : parallel) last().entries.push_back({competitor, whole, usual_cycles});
  }

  Stage& last() { return stages_.back(); }
  std::vector<Stage> take() { return std::move(stages_); }

 private:
  unsigned rounds_;
  std::vector<Stage> stages_;
};

Setting with(Setting setting, unsigned Setting::*member, unsigned value) {
  setting.*member = value;
  return setting;
}

std::vector<Setting> each(Setting (*make)(unsigned), std::initializer_list<unsigned> values) {
  std::vector<Setting> result;
  for (const unsigned value : values) result.push_back(make(value));
  return result;
}

/// All that the bars of the figures need, and no more.
void plan_figures(Planner& plan) {
  for (const Pattern pattern : {Pattern::sequential, Pattern::zipf}) plan.cycle(bars_only, gib, 10'000, pattern);
  plan.cycle(each_way, gib, 10'000, Pattern::uniform);
  plan.cycle(bars_only, gib, 10'000, Pattern::hot);
  plan.cycle(bars_only, gib, 1'000, Pattern::zipf);
  plan.cycle(each_way, gib, 1'000, Pattern::uniform);
  plan.cycle(each_way, gib, 100, Pattern::uniform);
  plan.cycle(bars_only, gib, 0, Pattern::uniform);
  plan.cycle(bars_only, 8 * gib, 100, Pattern::uniform);
  for (const std::size_t writes : sizes({10, 30, 300, 3'000, 30'000})) {
    plan.cycle(each_way, gib, writes, Pattern::uniform);  // the rest of the curve
  }
}

void plan_costs(Planner& plan) {
  const Setting clones[] = {settings::clone(0), settings::clone(100), settings::clone(1'000)};
  const Names clone_names = {name::fork,          name::clones,      name::clones_userfaultfd,
                             name::clones_kernel, name::clones_auto, name::known_clones};
  plan.compare("clones, 1 GiB", clone_names, clones, 2);
  plan.compare("views, 1 GiB", {name::views, name::views_auto}, clones, 2);
  for (const std::size_t writes : sizes({100, 1'000, 10'000})) {
    const std::size_t bytes = writes == 100 ? 64 * mib : gib;
    const std::string title = "a clone of each version, " + size_text(bytes) + ", " + count_text(writes);
    plan.compare(title, what_ifs, settings::what_if(bytes, writes, 1), 3);
  }
  plan.compare("a view of each version, 1 GiB, 1,000", what_if_views, settings::what_if(gib, 1'000, 1), 3);
  plan.compare("16 clones of each version, 1 GiB, 1,000", what_ifs, settings::what_if(gib, 1'000, 16), 2);
  plan.compare("rollback loop, 44 runs of 4 pages", rollbacks, settings::rollback_loop(), short_cycles);
  plan.compare("rollback, 1 GiB, 1,000 uniform", both_barriers, settings::rollback(1'000));
  plan.compare("ordered map, a million entries", maps, settings::map());
  const Setting books[] = {settings::books(gib / cow::page_size()), settings::books(10'000)};
  plan.compare("bookkeeping, 1 GiB", both_barriers, books, 1);
  plan.anatomy(settings::anatomy(), settings::cycle(gib, 2'000, Pattern::uniform));
}

void plan_many(Planner& plan, std::initializer_list<unsigned> threads, std::initializer_list<unsigned> alive) {
  plan.compare("threads, 1 GiB, 20,000 uniform", parallel, each(settings::threads, threads), 1);
  plan.compare("snapshots alive, 1 GiB, 500 uniform", both_barriers, each(settings::alive, alive), usual_cycles);
}

void plan_million(Planner& plan, unsigned rounds) {
  for (const std::size_t writes : sizes({10'000, 1'000'000})) {
    const std::string title = "mapping limit, 8 GiB, " + count_text(writes) + " scattered writes";
    plan.compare(title, both_barriers, settings::million(writes), 1);
    plan.last().rounds = rounds;
  }
}

void plan_axes(Planner& plan) {
  for (const std::size_t bytes : sizes({64 * mib, 256 * mib, 4 * gib, 8 * gib})) {
    plan.cycle(one_snapshot, bytes, 100, Pattern::uniform);
    plan.cycle(one_snapshot, bytes, 1'000, Pattern::uniform);
  }
  for (const std::size_t writes : sizes({0, 1, 10, 100, 1'000, 10'000, 26'214, 100'000})) {
    plan.cycle(one_snapshot, gib, writes, Pattern::uniform);
  }
  for (const Pattern pattern : {Pattern::sequential, Pattern::zipf}) {
    for (const std::size_t writes : sizes({100, 1'000, 10'000, 26'214})) plan.cycle(one_snapshot, gib, writes, pattern);
  }
  for (const unsigned clones : {1U, 4U, 16U, 64U}) {
    const Setting setting = with(settings::clone(1'000), &Setting::alive, clones);
    plan.compare("clones alive: " + count_text(clones), {name::fork, name::clones, name::clones_auto}, setting, 3);
  }
  plan.compare("rollback, 1 GiB, 10,000 uniform", both_barriers, settings::rollback(10'000));
}

/// The same axes at sizes where filling a heap takes no time worth mentioning.
void plan_small(Planner& plan, std::size_t bytes, std::size_t writes) {
  plan.cycle(one_snapshot, bytes, writes, Pattern::uniform);
  plan.cycle(one_snapshot, bytes, writes, Pattern::sequential);
  plan.cycle(bars_only, bytes, writes, Pattern::zipf);
  plan.cycle(bars_only, bytes, writes, Pattern::hot);
  plan.cycle(bars_only, bytes, 0, Pattern::uniform);
  const Setting cycle = settings::cycle(bytes, writes, Pattern::uniform);
  const Setting threads[] = {cycle, with(cycle, &Setting::threads, 2)};
  plan.compare("threads, " + size_text(bytes), parallel, threads, usual_cycles);
  const Setting alive[] = {cycle, with(cycle, &Setting::alive, 20)};
  plan.compare("snapshots alive, " + size_text(bytes), both_barriers, alive, usual_cycles);
  const Setting clones[] = {cycle, with(cycle, &Setting::alive, 4)};
  plan.compare("clones alive, " + size_text(bytes),
               {name::clones, name::clones_userfaultfd, name::clones_kernel, name::clones_auto}, clones, usual_cycles);
  plan.compare("views alive, " + size_text(bytes),
               {name::views, name::views_userfaultfd, name::views_kernel, name::views_auto}, clones, usual_cycles);
  plan.compare("a clone of each version, " + size_text(bytes), what_ifs, settings::what_if(bytes, writes, 1),
               usual_cycles);
  plan.compare("a view of each version, " + size_text(bytes), what_if_views, settings::what_if(bytes, writes, 1),
               usual_cycles);

  Setting rollback = settings::rollback_loop();
  rollback.bytes = bytes;
  plan.compare("rollback loop, 44 runs of 4 pages", rollbacks, rollback, 50);
  Setting map = settings::map();
  map.bytes = bytes / 16;
  map.writes = writes;
  plan.compare("ordered map, " + count_text(map.bytes / map_entry_bytes) + " entries", maps, map);
  Setting books = settings::books(bytes / cow::page_size());
  books.bytes = bytes;
  plan.compare("bookkeeping, " + size_text(bytes), both_barriers, books, 1);
  Setting anatomy = settings::anatomy();
  anatomy.bytes = bytes;
  plan.anatomy(anatomy, cycle);
}

}  // namespace

std::vector<Stage> make_plan(Mode mode) {
  Planner plan(mode == Mode::smoke ? 1 : mode == Mode::quick ? 3 : mode == Mode::figures ? 5 : 7);
  switch (mode) {
    case Mode::smoke: plan_small(plan, 16 * mib, 200); break;
    case Mode::quick:
      plan_small(plan, 256 * mib, 1'000);
      for (const std::size_t writes : sizes({10, 100, 6'500})) {
        plan.cycle(bars_only, 256 * mib, writes, Pattern::uniform);
      }
      plan.cycle(bars_only, 64 * mib, 1'000, Pattern::uniform);
      break;
    case Mode::figures:
      plan_figures(plan);
      plan_costs(plan);
      plan_many(plan, {1, 4}, {1, 1'000});
      plan_million(plan, 2);
      break;
    case Mode::full:
      plan_axes(plan);
      plan_costs(plan);
      plan_many(plan, {1, 2, 4}, {1, 10, 100, 1'000});
      plan_million(plan, 3);
      break;
  }
  return plan.take();
}

namespace settings {

Setting cycle(std::size_t bytes, std::size_t writes, Pattern pattern) {
  return {.experiment = Experiment::cycle, .bytes = bytes, .writes = writes, .pattern = pattern};
}
Setting threads(unsigned count) { return with(cycle(gib, 20'000, Pattern::uniform), &Setting::threads, count); }
Setting alive(unsigned count) { return with(cycle(gib, 500, Pattern::uniform), &Setting::alive, count); }
Setting clone(std::size_t writes) { return cycle(gib, writes, Pattern::uniform); }
Setting what_if(std::size_t bytes, std::size_t writes, unsigned copies) {
  Setting setting = with(cycle(bytes, writes, Pattern::uniform), &Setting::alive, copies);
  setting.experiment = Experiment::what_if;
  return setting;
}
Setting rollback_loop() {
  return {.experiment = Experiment::rollback, .writes = std::size_t{44} * 4, .pattern = Pattern::runs};
}
Setting rollback(std::size_t writes) { return {.experiment = Experiment::rollback, .writes = writes}; }
Setting map() { return {.experiment = Experiment::map, .bytes = 1'000'000 * map_entry_bytes, .writes = 1'000}; }
Setting books(std::size_t pages) { return {.experiment = Experiment::books, .writes = pages}; }
Setting million(std::size_t writes) { return cycle(8 * gib, writes, Pattern::uniform); }
Setting anatomy() { return {.experiment = Experiment::fault_pieces, .bytes = 256 * mib}; }

}  // namespace settings
}  // namespace bench

// How a run goes: which operations it prefers, what it chooses, when it checks, how it ends.
#include "model/world.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "arena/change_barrier.hpp"
#include "books/arena_books.hpp"

namespace cow::model {

const std::vector<World::Operation>& World::operations() {
  static const std::vector<Operation> all = {
      {"write byte", 8, &World::write_byte},
      {"write word", 6, &World::write_word},
      {"write range", 8, &World::write_range},
      {"write run of pages", 8, &World::write_run_of_pages},
      {"write scattered pages", 10, &World::write_scattered_pages},
      {"write in a rhythm", 4, &World::write_in_a_rhythm},
      {"write zeros", 2, &World::write_zeros},
      {"write what is there", 2, &World::write_what_is_there},
      {"hand over a write", 8, &World::hand_over_write},
      {"hand over a batch", 6, &World::hand_over_batch},
      {"move within", 2, &World::move_within},
      {"copy between", 4, &World::copy_between},
      {"copy from view", 2, &World::copy_from_view},
      {"prepare write", 4, &World::prepare_write},
      {"discard", 4, &World::discard},
      {"read into buffer", 4, &World::read_into_buffer},
      {"read into arena", 4, &World::read_into_arena},
      {"ask what changed", 3, &World::ask_what_changed},
      {"misuse", 2, &World::misuse},
      {"collapse", 8, &World::collapse},
      {"new family", 1, &World::new_family},
      {"take snapshot", 20, &World::take_snapshot},
      {"copy handle", 2, &World::copy_handle},
      {"assign handle", 2, &World::assign_handle},
      {"drop handle", 10, &World::drop_handle},
      {"roll back", 10, &World::roll_back},
      {"clone arena", 5, &World::clone_arena},
      {"clone snapshot", 7, &World::clone_snapshot},
      {"replace by clone", 3, &World::replace_by_clone},
      {"assign over", 1, &World::assign_over},
      {"drop arena", 5, &World::drop_arena},
      {"move arenas", 2, &World::move_arenas},
      {"open view", 5, &World::open_view},
      {"move views", 1, &World::move_views},
      {"close view", 4, &World::close_view},
      {"ask what differs", 5, &World::ask_what_differs},
      {"adopt", 6, &World::adopt_version},
      {"merge", 8, &World::merge_versions},
      {"transaction", 4, &World::go_through_a_transaction},
      {"change barriers", 2, &World::change_barriers},
  };
  return all;
}

// Each run leaves some operations out and prefers others: rare sequences of few kinds come up that way.
World::World(ByteSource& choice, Trace& trace, const Setting& setting)
    : setting_(setting),
      choice_(choice),
      trace_(trace),
      arena_limit_(choice.between(1, 8)),
      snapshot_limit_(choice.between(1, 14)),
      view_limit_(choice.between(1, 4)),
      kinds_(operations()) {
  if (setting.files) kinds_.insert(kinds_.end(), operations_on_files().begin(), operations_on_files().end());
  constexpr std::array<std::size_t, 8> factors = {0, 1, 1, 1, 2, 2, 4, 8};
  for (const Operation& operation : kinds_)
    weights_.push_back(operation.weight * factors[choice_.below(factors.size())]);
  weights_[choice_.below(5)] += 10;  // something always is written
  new_family();
  if (setting.budget != 0) MappingBudget::set_limit(setting.budget);
}

World::~World() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

void World::step() {
  std::size_t total = 0;
  for (const std::size_t weight : weights_) total += weight;
  std::size_t ticket = choice_.below(total);
  std::size_t chosen = 0;
  while (ticket >= weights_[chosen]) ticket -= weights_[chosen++];
  (this->*kinds_[chosen].run)();
  cheap_checks();
}

HeldArena& World::any_arena() { return arenas_[choice_.below(arenas_.size())]; }
HeldSnapshot* World::any_snapshot() {
  return snapshots_.empty() ? nullptr : &snapshots_[choice_.below(snapshots_.size())];
}
HeldView* World::any_view() { return views_.empty() ? nullptr : &views_[choice_.below(views_.size())]; }

// Half of all choices fall on few pages, so that the same ones are written again and again.
std::size_t World::any_page(const HeldArena& arena) {
  const std::size_t pages = arena.content.size() / page_size();
  return choice_.chance(50) ? choice_.below(std::min<std::size_t>(pages, 6)) : choice_.below(pages);
}

World::Range World::any_range(const HeldArena& arena) {
  const std::size_t offset = any_page(arena) * page_size() + (choice_.chance(40) ? choice_.below(page_size()) : 0);
  const std::size_t rest = arena.content.size() - offset;
  const std::size_t longest[] = {64, page_size(), 3 * page_size(), rest};
  const std::size_t most = std::min(rest, longest[choice_.below(std::size(longest))]);
  std::size_t size = choice_.between(1, most);
  if (choice_.chance(40)) size = std::min(rest, (size + page_size() - 1) / page_size() * page_size());
  return {offset, size};
}

void World::finish() {
  signals_wanted.store(false);
  trace_.line("the end: all but one arena go");
  const std::size_t keep = choice_.below(arenas_.size());
  std::swap(arenas_[0], arenas_[keep]);
  while (arenas_.size() > 1 || !snapshots_.empty() || !views_.empty()) {
    const std::size_t victim = choice_.below(arenas_.size() - 1 + snapshots_.size() + views_.size());
    if (victim < arenas_.size() - 1) {
      erase_arena(1 + victim);
    } else if (victim < arenas_.size() - 1 + snapshots_.size()) {
      erase_snapshot(victim - (arenas_.size() - 1));
    } else {
      erase_view(victim - (arenas_.size() - 1) - snapshots_.size());
    }
    if (choice_.chance(15)) check_everything();
  }
  check_everything();
  check_nothing_left(arenas_[0]);
}

void World::live(std::size_t steps) {
  for (std::size_t taken = 0; taken < steps && !choice_.exhausted(); ++taken) {
    step();
    if (choice_.chance(3)) check_everything();
  }
  check_everything();
  finish();
}

namespace {

/// What the library needs once in a process must not be what is refused, or a run would differ from its replay.
void warm_up() {
  static bool warm = false;
  if (std::exchange(warm, true)) return;
  std::vector<Arena> arenas;
  for (const Barrier barrier : {Barrier::automatic, Barrier::userfaultfd}) {
    for (int i = 0; i < 64; ++i) arenas.push_back(Arena({.capacity = page_size(), .barrier = barrier}));
  }
}

}  // namespace

void run(ByteSource& choice, Trace& trace, std::size_t steps, const Setting& setting) {
  warm_up();
  const std::uint64_t mappings = MappingBudget::used;
  {
    World world(choice, trace, setting);
    world.live(steps);
  }
  require(MappingBudget::used == mappings, "mappings are counted that are gone");
}

}  // namespace cow::model

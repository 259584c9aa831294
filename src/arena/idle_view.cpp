// See arena/idle_view.hpp.
#include "arena/idle_view.hpp"

#include <algorithm>
#include <utility>

#include "arena/operation.hpp"

namespace cow {
namespace {

constexpr std::size_t few_runs = 64;
/// An idle mapping is given up where the process has no more mappings left than this.
constexpr std::uint64_t mappings_to_spare = 4096;

bool same(const RunList& a, const RunList& b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Run& one, const Run& other) {
    return one.first == other.first && one.count == other.count && one.frame == other.frame;
  });
}

void unmap(detail::MappedView& view) noexcept {
  if (view.reservation != nullptr) os::unmap(view.reservation, view.reserved_bytes);
  MappingBudget::used.fetch_sub(view.mappings, std::memory_order_relaxed);
}

/// What the view shows becomes what the last one showed; says whether it is the same.
bool follows_its_like(ArenaBooks& books, const RunList& runs) noexcept COW_IN_OPERATION {
  IdleView& idle = books.idle_view;
  if (!idle.shown.empty() && same(idle.shown, runs)) return true;
  drop_idle_view(books);
  idle.shown = RunList{};
  if (idle.shown.copy(runs)) idle.shown = RunList{};
  return false;
}

}  // namespace

void note_shown(detail::MappedView& view, const Version& version) noexcept COW_IN_OPERATION {
  const bool frames_alone = version.books.family.file.saved().empty() && version.runs.size() <= few_runs;
  if (!frames_alone || view.shown.copy(version.runs)) view.shown = RunList{};
}

bool take_idle_view(ArenaBooks& books, const Version& version, detail::MappedView& view) noexcept COW_IN_OPERATION {
  IdleView& idle = books.idle_view;
  if (idle.reservation == nullptr || !same(idle.shown, version.runs)) return false;
  const std::size_t guard = os::page_size();
  view.reservation = std::exchange(idle.reservation, nullptr);
  view.reserved_bytes = idle.reserved_bytes;
  view.mappings = idle.mappings;
  view.base = view.reservation + guard;
  view.bytes = view.reserved_bytes - 2 * guard;
  note_shown(view, version);
  return true;
}

void leave_idle_or_unmap(detail::MappedView& view) noexcept {
  if (view.reservation == nullptr || view.shown.empty()) return unmap(view);
  ArenaBooks& books = view.version->books;
  const Operation operation(books);
  const bool may_stay = books.mapped() && MappingBudget::left() > mappings_to_spare;
  if (!may_stay || !follows_its_like(books, view.shown) || books.idle_view.reservation != nullptr) return unmap(view);
  books.idle_view.reservation = view.reservation;
  books.idle_view.reserved_bytes = view.reserved_bytes;
  books.idle_view.mappings = view.mappings;
}

void drop_idle_view(ArenaBooks& books) noexcept COW_IN_OPERATION {
  IdleView& idle = books.idle_view;
  if (idle.reservation == nullptr) return;
  os::unmap(std::exchange(idle.reservation, nullptr), idle.reserved_bytes);
  MappingBudget::used.fetch_sub(idle.mappings, std::memory_order_relaxed);
}

}  // namespace cow

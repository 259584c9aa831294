// A ring of places, each under a stamp: odd while it is written, and another one afterwards. See
// faults/gone_ranges.hpp.
#include "faults/gone_ranges.hpp"

#include <atomic>
#include <cstring>

namespace cow::gone_ranges {
namespace {

/// All words are atomic, stored with release and loaded with acquire, so that between two equal stamps nothing changed.
struct Place {
  static constexpr std::size_t name_words = sizeof GoneRange::name / sizeof(std::uint64_t);

  std::atomic<std::uint64_t> stamp{0};
  std::atomic<std::uint64_t> begin{0}, end{0}, view{0};
  std::atomic<std::uint64_t> name[name_words]{};
};

Place places[remembered];
std::atomic<std::uint64_t> count{0};

bool read(const Place& place, GoneRange& range) noexcept {
  const std::uint64_t stamp = place.stamp.load(std::memory_order_acquire);
  range.begin = place.begin.load(std::memory_order_acquire);
  range.end = place.end.load(std::memory_order_acquire);
  range.view = place.view.load(std::memory_order_acquire) != 0;
  for (std::size_t i = 0; i < Place::name_words; ++i) {
    const std::uint64_t letters = place.name[i].load(std::memory_order_acquire);
    std::memcpy(range.name + i * sizeof letters, &letters, sizeof letters);
  }
  return stamp % 2 == 0 && place.stamp.load(std::memory_order_relaxed) == stamp;
}

}  // namespace

void remember(const GoneRange& range, const char (&name)[sizeof GoneRange::name]) noexcept {
  const std::uint64_t index = count.load(std::memory_order_relaxed);
  Place& place = places[index % remembered];
  const std::uint64_t stamp = place.stamp.load(std::memory_order_relaxed);
  place.stamp.store(stamp + 1, std::memory_order_relaxed);
  place.begin.store(range.begin, std::memory_order_release);
  place.end.store(range.end, std::memory_order_release);
  place.view.store(range.view ? 1 : 0, std::memory_order_release);
  for (std::size_t i = 0; i < Place::name_words; ++i) {
    std::uint64_t letters;
    std::memcpy(&letters, name + i * sizeof letters, sizeof letters);
    place.name[i].store(letters, std::memory_order_release);
  }
  place.stamp.store(stamp + 2, std::memory_order_release);
  count.store(index + 1, std::memory_order_release);
}

void begin_in_child() noexcept {
  for (Place& place : places) {
    const std::uint64_t stamp = place.stamp.load(std::memory_order_relaxed);
    if (stamp % 2 == 0) continue;
    place.end.store(0, std::memory_order_relaxed);
    place.stamp.store(stamp + 1, std::memory_order_relaxed);
  }
}

bool find(const void* pointer, GoneRange& range) noexcept {
  const std::uint64_t address = reinterpret_cast<std::uintptr_t>(pointer);
  const std::uint64_t newest = count.load(std::memory_order_acquire);
  for (std::uint64_t age = 1; age <= remembered && age <= newest; ++age) {
    if (read(places[(newest - age) % remembered], range) && range.begin <= address && address < range.end) return true;
  }
  return false;
}

}  // namespace cow::gone_ranges

// Places for handles, in chunks that are never given back, and a list of the free ones. No locks.
#include "capi/handles.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <new>

namespace cow::capi {

namespace {

constexpr unsigned kind_bits = 4, index_bits = 28;
constexpr std::uint32_t no_place = ~std::uint32_t{0};

struct Place {
  std::atomic<HandleNumber> handle{0};  // the one that is open; 0: none
  std::atomic<void*> object{nullptr};
  std::uint32_t uses = 0;  // of whoever took the place
  std::atomic<std::uint32_t> next_free{no_place};
};

/// Chunk n has 64 << n places: index i + 64 is in the chunk that its highest bit names.
constexpr unsigned first_chunk_bit = 6, chunks = index_bits - first_chunk_bit;

constinit std::array<std::atomic<Place*>, chunks> chunk_begins{};
constinit std::atomic<std::uint32_t> places_begun{0};
constinit std::atomic<std::uint64_t> free_places{no_place};  // the first one, and above it a count of changes

struct Position {
  unsigned chunk;
  std::size_t in_chunk;
};

constexpr Position position_of(std::uint32_t index) noexcept {
  const std::uint32_t shifted = index + (1u << first_chunk_bit);
  const auto bit = static_cast<unsigned>(std::bit_width(shifted)) - 1;
  return {bit - first_chunk_bit, shifted - (std::uint32_t{1} << bit)};
}

Place* place_at(std::uint32_t index) noexcept {
  const Position at = position_of(index);
  if (at.chunk >= chunks) return nullptr;
  Place* const begin = chunk_begins[at.chunk].load(std::memory_order_acquire);
  return begin == nullptr ? nullptr : begin + at.in_chunk;
}

Place* make_place_at(std::uint32_t index) noexcept {
  if (Place* const there = place_at(index)) return there;
  const Position at = position_of(index);
  if (at.chunk >= chunks) return nullptr;
  Place* const made = new (std::nothrow) Place[std::size_t{1} << (first_chunk_bit + at.chunk)];
  if (made == nullptr) return nullptr;
  Place* expected = nullptr;
  if (!chunk_begins[at.chunk].compare_exchange_strong(expected, made, std::memory_order_acq_rel)) delete[] made;
  return place_at(index);
}

constexpr std::uint64_t head_of(std::uint32_t first, std::uint64_t changes) noexcept { return changes << 32 | first; }

std::uint32_t take_free_place() noexcept {
  std::uint64_t head = free_places.load(std::memory_order_acquire);
  for (;;) {
    const auto first = static_cast<std::uint32_t>(head);
    if (first == no_place) return no_place;
    const std::uint32_t next = place_at(first)->next_free.load(std::memory_order_relaxed);
    const std::uint64_t without = head_of(next, (head >> 32) + 1);  // the count: a place that came back in between
    if (free_places.compare_exchange_weak(head, without, std::memory_order_acq_rel)) return first;
  }
}

void give_back_place(Place& place, std::uint32_t index) noexcept {
  std::uint64_t head = free_places.load(std::memory_order_relaxed);
  do {
    place.next_free.store(static_cast<std::uint32_t>(head), std::memory_order_relaxed);
  } while (!free_places.compare_exchange_weak(head, head_of(index, (head >> 32) + 1), std::memory_order_acq_rel));
}

/// Counted on only when there is memory for it, so that a lack loses no place.
std::uint32_t begin_place() noexcept {
  std::uint32_t index = places_begun.load(std::memory_order_relaxed);
  do {
    if (make_place_at(index) == nullptr) return no_place;
  } while (!places_begun.compare_exchange_weak(index, index + 1, std::memory_order_relaxed));
  return index;
}

constexpr std::uint32_t index_of(HandleNumber handle) noexcept {
  return static_cast<std::uint32_t>(handle >> kind_bits) & ((1u << index_bits) - 1);
}
constexpr bool is_of(HandleNumber handle, Kind kind) noexcept {
  return (handle & ((1u << kind_bits) - 1)) == static_cast<HandleNumber>(kind);
}

}  // namespace

void* find_object(HandleNumber handle, Kind kind) noexcept {
  if (!is_of(handle, kind)) return nullptr;
  const Place* const place = place_at(index_of(handle));
  if (place == nullptr || place->handle.load(std::memory_order_acquire) != handle) return nullptr;
  void* const object = place->object.load(std::memory_order_acquire);
  // Closed in between, and the place taken by another object, perhaps of another kind: never give that.
  return place->handle.load(std::memory_order_relaxed) == handle ? object : nullptr;
}

const std::atomic<HandleNumber>* word_of(HandleNumber handle) noexcept {
  const Place* const place = place_at(index_of(handle));
  return place == nullptr || place->handle.load(std::memory_order_acquire) != handle ? nullptr : &place->handle;
}

HandleNumber add_object(void* object, Kind kind) noexcept {
  std::uint32_t index = take_free_place();
  if (index == no_place) index = begin_place();
  if (index == no_place) return 0;
  Place& place = *place_at(index);
  const HandleNumber handle = HandleNumber{++place.uses} << 32 | HandleNumber{index} << kind_bits |
                              static_cast<HandleNumber>(kind);
  place.object.store(object, std::memory_order_release);
  place.handle.store(handle, std::memory_order_release);
  return handle;
}

void* remove_object(HandleNumber handle, Kind kind) noexcept {
  void* const object = find_object(handle, kind);
  if (object == nullptr) return nullptr;
  Place& place = *place_at(index_of(handle));
  HandleNumber expected = handle;
  if (!place.handle.compare_exchange_strong(expected, 0, std::memory_order_acq_rel)) return nullptr;
  give_back_place(place, index_of(handle));
  return object;
}

}  // namespace cow::capi

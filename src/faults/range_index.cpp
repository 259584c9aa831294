// The sorted ranges. See faults/range_index.hpp.
//
// All words are atomic, stored with release and loaded with acquire: who reads a word of the copy that is being written
// reads a later number of turns afterwards, and searches again.
#include "faults/range_index.hpp"

#include <bit>
#include <cerrno>
#include <new>

namespace cow {
namespace {

constexpr std::size_t block_of(std::size_t index, std::size_t first_block) noexcept {
  return static_cast<std::size_t>(std::bit_width(index / first_block + 1)) - 1;
}
constexpr std::size_t block_start(std::size_t block, std::size_t first_block) noexcept {
  return first_block * ((std::size_t{1} << block) - 1);
}

}  // namespace

RangeIndex::Entry& RangeIndex::Copy::operator[](std::size_t index) const noexcept {
  const std::size_t block = block_of(index, first_block);
  return blocks[block].load(std::memory_order_acquire)[index - block_start(block, first_block)];
}

std::size_t RangeIndex::Copy::first_after(std::uintptr_t address, std::size_t count_seen) const noexcept {
  std::size_t first = 0;
  for (std::size_t left = count_seen; left != 0;) {
    const std::size_t half = left / 2;
    if ((*this)[first + half].begin.load(std::memory_order_acquire) <= address) {
      first += half + 1;
      left -= half + 1;
    } else {
      left = half;
    }
  }
  return first;
}

void RangeIndex::Copy::assign(std::size_t index, std::uintptr_t begin, std::uintptr_t end, FaultSlot* slot) noexcept {
  Entry& entry = (*this)[index];
  entry.begin.store(begin, std::memory_order_release);
  entry.end.store(end, std::memory_order_release);
  entry.slot.store(slot, std::memory_order_release);
}

void RangeIndex::Copy::assign(std::size_t index, const Entry& from) noexcept {
  assign(index, from.begin.load(std::memory_order_relaxed), from.end.load(std::memory_order_relaxed),
         from.slot.load(std::memory_order_relaxed));
}

os::Error RangeIndex::make_room(std::size_t ranges) noexcept {
  if (ranges == 0) return {};
  const std::size_t last = block_of(ranges - 1, Copy::first_block);
  if (last >= Copy::most_blocks) return {ENOMEM};
  for (Copy& copy : copies_) {
    for (std::size_t block = 0; block <= last; ++block) {
      if (copy.blocks[block].load(std::memory_order_relaxed) != nullptr) continue;
      const std::size_t entries = Copy::first_block << block;
      const os::Result<void*> memory = os::reserve_books(entries * sizeof(Entry));
      if (!memory) return memory.error;
      Entry* const made = static_cast<Entry*>(memory.value);
      for (std::size_t i = 0; i < entries; ++i) ::new (&made[i]) Entry;
      copy.blocks[block].store(made, std::memory_order_release);
    }
  }
  return {};
}

void RangeIndex::insert(std::uintptr_t begin, std::uintptr_t end, FaultSlot* slot) noexcept {
  const Copy& from = searched();
  Copy& to = written();
  const std::size_t count = from.count.load(std::memory_order_relaxed);
  const std::size_t place = from.first_after(begin, count);
  for (std::size_t i = 0; i < place; ++i) to.assign(i, from[i]);
  to.assign(place, begin, end, slot);
  for (std::size_t i = place; i < count; ++i) to.assign(i + 1, from[i]);
  to.count.store(count + 1, std::memory_order_release);
  take_turns();
}

void RangeIndex::erase(std::uintptr_t begin) noexcept {
  const Copy& from = searched();
  Copy& to = written();
  const std::size_t count = from.count.load(std::memory_order_relaxed);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (from[i].begin.load(std::memory_order_relaxed) != begin) to.assign(kept++, from[i]);
  }
  to.count.store(kept, std::memory_order_release);
  take_turns();
}

RangeIndex::Neighbours RangeIndex::search(std::uintptr_t address) const noexcept {
  for (;;) {
    const std::uint64_t turns = turns_.load(std::memory_order_acquire);
    const Copy& copy = copies_[turns % 2];
    const std::size_t count = copy.count.load(std::memory_order_acquire);
    const std::size_t after = copy.first_after(address, count);
    Neighbours found;
    if (after != 0) {
      const Entry& at = copy[after - 1];
      found.at = at.slot.load(std::memory_order_acquire);
      found.end = at.end.load(std::memory_order_acquire);
    }
    if (after != count) found.above = copy[after].slot.load(std::memory_order_acquire);
    if (turns_.load(std::memory_order_relaxed) == turns) return found;
  }
}

}  // namespace cow

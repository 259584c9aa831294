// The registry. find() runs in the signal handler; the rest in operations.
#include "faults/registry.hpp"

#include <bit>
#include <cstring>
#include <new>

#include "faults/gone_ranges.hpp"
#include "faults/range_index.hpp"
#include "kernel/fork_gate.hpp"

namespace cow::fault_registry {
namespace {

// Blocks of slots, each twice as long as the one before: a slot never moves.
constexpr std::uint32_t first_block = 64;
constexpr int most_blocks = 26;
std::atomic<FaultSlot*> blocks[most_blocks];
std::atomic<std::uint32_t> slot_count{0};  // slots ever handed out
constinit RangeIndex published;            // has room for all slots; changed under `membership`, searched by anyone

PublishedLock membership;  // covers what is published; held while a fork() makes its cut. The first lock of all
COW_BY_PUBLISHED std::uint64_t publications = 0;  // ever made
ListLock changes;  // of slots handed out; not taken by find()
COW_BY_LIST_LOCK FaultSlot* free_slots = nullptr;

int block_of(std::uint32_t index) noexcept { return static_cast<int>(std::bit_width(index / first_block + 1)) - 1; }
std::uint32_t block_start(int block) noexcept { return first_block * ((1u << block) - 1); }
std::uint32_t block_slots(int block) noexcept { return first_block << block; }

template <class F>
void for_each_slot(F&& f) noexcept {
  std::uint32_t left = slot_count.load(std::memory_order_acquire);
  for (int block = 0; left != 0; ++block) {
    const std::uint32_t here = left < block_slots(block) ? left : block_slots(block);
    for (std::uint32_t i = 0; i < here; ++i) f(blocks[block].load(std::memory_order_acquire)[i]);
    left -= here;
  }
}

}  // namespace

FaultSlot* find(const void* pointer) noexcept {
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(pointer);
  const RangeIndex::Neighbours found = published.search(address);
  return address < found.end ? found.at : nullptr;
}

FaultSlot* find_guard(const void* pointer) noexcept {
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(pointer);
  const RangeIndex::Neighbours found = published.search(address);
  for (FaultSlot* const slot : {found.at, found.above}) {
    if (slot != nullptr && slot->end.load(std::memory_order_relaxed) != 0 && slot->guards(address)) return slot;
  }
  return nullptr;
}

os::Result<FaultSlot*> take() noexcept {
  FaultLockGuard guard(changes);
  if (free_slots != nullptr) {
    FaultSlot* slot = free_slots;
    free_slots = slot->next_free;
    return {slot, {}};
  }
  const std::uint32_t number = slot_count.load(std::memory_order_relaxed);
  const int block = block_of(number);
  if (block == most_blocks) return {nullptr, {ENOMEM}};
  if (const os::Error error = published.make_room(number + 1)) return {nullptr, error};
  if (number == block_start(block)) {
    const os::Result<void*> memory = os::reserve_books(block_slots(block) * sizeof(FaultSlot));
    if (!memory) return {nullptr, memory.error};
    FaultSlot* const slots = static_cast<FaultSlot*>(memory.value);
    for (std::uint32_t i = 0; i < block_slots(block); ++i) ::new (&slots[i]) FaultSlot;
    blocks[block].store(slots, std::memory_order_release);
  }
  slot_count.store(number + 1, std::memory_order_release);
  return {&blocks[block].load(std::memory_order_relaxed)[number - block_start(block)], {}};
}

void publish(FaultSlot& slot, const void* begin, std::size_t bytes, ArenaBooks* books, detail::MappedView* view,
             const ArenaBooks* arena) noexcept {
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(begin);
  const WriterLockGuard guard(membership);
  FaultLockHeld held(slot.lock);
  slot.books = books;
  slot.view = view;
  slot.generation.store(os::process_generation(), std::memory_order_relaxed);
  slot.publication = ++publications;
  const std::size_t beside = books != nullptr && books->reservation == begin ? 0 : os::page_size();
  slot.guard_bytes.store(beside, std::memory_order_relaxed);
  std::memcpy(slot.name, (books != nullptr ? books : arena)->name, sizeof slot.name);
  slot.begin.store(address, std::memory_order_relaxed);  // first: until the end is there too, the slot has no address
  slot.end.store(address + bytes, std::memory_order_release);
  published.insert(address, address + bytes, &slot);
}

void withdraw(FaultSlot& slot) noexcept {
  const WriterLockHeld members(membership);
  FaultLockHeld held(slot.lock);
  const std::uintptr_t begin = slot.begin.load(std::memory_order_relaxed),
                       end = slot.end.load(std::memory_order_relaxed);
  const GoneRange range{begin, end, slot.view != nullptr};
  if (range.end != 0) {
    gone_ranges::remember(range, slot.name);
    published.erase(begin);
  }
  slot.end.store(0, std::memory_order_release);
  slot.begin.store(0, std::memory_order_relaxed);
  slot.books = nullptr;
  slot.view = nullptr;
  slot.refusals = nullptr;
}

void give_back(FaultSlot& slot) noexcept {
  FaultLockGuard guard(changes);
  slot.next_free = free_slots;
  free_slots = &slot;
}

void for_each_arena(void (*f)(ArenaBooks& books, void* context), void* context) noexcept {
  for_each_slot([&](FaultSlot& slot) {
    FaultLockGuard guard(slot.lock);
    const bool own = slot.generation.load(std::memory_order_relaxed) == os::process_generation();
    if (slot.books != nullptr && own) f(*slot.books, context);
  });
}

// Held from one call to the other.
void begin_cut() noexcept COW_HELD_UNCHECKED { fork_gate::pass(membership); }
void end_cut() noexcept COW_HELD_UNCHECKED { membership.unlock(); }

void begin_in_child() noexcept COW_HELD_UNCHECKED {  // there are no other threads
  if (changes.is_held()) free_slots = nullptr;  // perhaps in the middle of a change: those slots are lost
  changes.let_go_in_child();
  membership.let_go_in_child();
  for_each_slot([](FaultSlot& slot) { slot.lock.let_go_in_child(); });
  gone_ranges::begin_in_child();
}

std::uint32_t slots_used() noexcept { return slot_count.load(std::memory_order_acquire); }

FaultSlot& slot_at(std::uint32_t number) noexcept {
  const int block = block_of(number);
  return blocks[block].load(std::memory_order_acquire)[number - block_start(block)];
}

}  // namespace cow::fault_registry

// A tree of all heaps in the process under one mutex, and a small cache for each thread in front of it.
//
// The mutex is not held over a fork(): whoever waits for it may hold a lock that other libraries' handlers wait for. A
// child finds it as other threads left it, makes it anew, and builds the tree again where one of them was at it.
#include "heap/registry.hpp"

#include <pthread.h>

#include <array>
#include <atomic>
#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <functional>
#include <iterator>
#include <mutex>
#include <new>

#include "heap/size_class.hpp"

namespace cow::detail {

namespace {

struct ByAddress {
  using type = const void*;
  const void* operator()(const RegistryEntry& entry) const noexcept { return entry.arena_begin; }
};

using Entries = boost::intrusive::multiset<
    RegistryEntry,
    boost::intrusive::member_hook<RegistryEntry, boost::intrusive::set_member_hook<>, &RegistryEntry::by_address>,
    boost::intrusive::key_of_value<ByAddress>, boost::intrusive::compare<std::less<>>,
    boost::intrusive::constant_time_size<false>>;

struct Registry {
  std::mutex mutex;
  Entries entries;  // intrusive: memory from operator new might itself come from a heap that is looked up here
  RegistryEntry* last_added = nullptr;
  bool forks_watched = false;
};

/// Never destroyed: static arenas may end after it would be.
Registry& registry() noexcept {
  alignas(Registry) static std::byte place[sizeof(Registry)];
  static Registry& made = *::new (place) Registry;
  return made;
}

/// Either of the next two takes effect by one store: a fork() child sees the list before it or after it, and only
/// follows `next`. The entry and the list are written in the order that the text has.
void keep_order() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

void link(Registry& all, RegistryEntry& entry) noexcept {
  entry.next = all.last_added;
  entry.before = nullptr;
  if (entry.next != nullptr) entry.next->before = &entry;
  keep_order();
  all.last_added = &entry;
  keep_order();
}

void unlink(Registry& all, const RegistryEntry& entry) noexcept {
  keep_order();
  (entry.before != nullptr ? entry.before->next : all.last_added) = entry.next;
  keep_order();
  if (entry.next != nullptr) entry.next->before = entry.before;
}

/// Those added first come first, as they do where two have the same address.
void build_again(Registry& all) noexcept {
  RegistryEntry* first = nullptr;
  RegistryEntry* later = nullptr;
  for (RegistryEntry* entry = all.last_added; entry != nullptr; entry = entry->next) {
    entry->before = later;
    first = later = entry;
  }
  ::new (&all.entries) Entries;
  for (RegistryEntry* entry = first; entry != nullptr; entry = entry->before) {
    ::new (&entry->by_address) boost::intrusive::set_member_hook<>;
    all.entries.insert(*entry);
  }
}

void begin_in_child() noexcept {
  Registry& all = registry();
  if (!all.mutex.try_lock()) build_again(all);
  ::new (&all.mutex) std::mutex;
}

bool watch_forks(Registry& all) noexcept {
  if (!all.forks_watched) all.forks_watched = ::pthread_atfork(nullptr, nullptr, begin_in_child) == 0;
  return all.forks_watched;
}

/// At the start: pthread_atfork() itself waits for a fork() of another thread.
[[gnu::constructor]] void watch_from_the_start() { (void)watch_forks(registry()); }

// Grows when an entry goes away or is replaced: what threads have cached before may dangle then.
std::atomic<std::uint64_t> removals{1};

struct Cached {
  const void* arena_begin = nullptr;
  RegistryEntry* entry = nullptr;
  std::uint64_t removals = 0;
};

constexpr std::size_t cache_size = 8;
constinit thread_local std::array<Cached, cache_size> cache{};

Cached& cache_place(const void* arena_begin) noexcept {
  const auto page = reinterpret_cast<std::uintptr_t>(arena_begin) >> unit_shift;
  return cache[(page * 0x9e3779b97f4a7c15u >> 61) % cache_size];
}

}  // namespace

void add_to_registry(RegistryEntry& entry) {
  Registry& all = registry();
  const std::lock_guard guard(all.mutex);
  if (!watch_forks(all)) throw std::bad_alloc();
  if (entry.by_address.is_linked()) return;
  link(all, entry);
  all.entries.insert(entry);  // behind those with the same address
  removals.fetch_add(1, std::memory_order_release);
}

void remove_from_registry(RegistryEntry& entry) noexcept {
  Registry& all = registry();
  const std::lock_guard guard(all.mutex);
  if (!entry.by_address.is_linked()) return;
  unlink(all, entry);
  all.entries.erase(all.entries.iterator_to(entry));
  removals.fetch_add(1, std::memory_order_release);
}

RegistryEntry* find_in_registry(const void* arena_begin) noexcept {
  const std::uint64_t now = removals.load(std::memory_order_acquire);
  Cached& cached = cache_place(arena_begin);
  if (cached.arena_begin == arena_begin && cached.removals == now) return cached.entry;

  Registry& all = registry();
  const std::lock_guard guard(all.mutex);
  // An arena's memory goes before its books do: where two have the same address, the later one is alive.
  const auto behind = all.entries.upper_bound(arena_begin);
  if (behind == all.entries.begin()) return nullptr;
  RegistryEntry& entry = *std::prev(behind);
  if (entry.arena_begin != arena_begin) return nullptr;
  cached = {arena_begin, &entry, now};
  return &entry;
}

}  // namespace cow::detail

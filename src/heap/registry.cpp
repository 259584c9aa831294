// A tree of all heaps in the process under one mutex, and a small cache for each thread in front of it.
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
};

/// Never destroyed: static arenas may end after it would be.
Registry& registry() noexcept {
  alignas(Registry) static std::byte place[sizeof(Registry)];
  static Registry& made = *::new (place) Registry;
  return made;
}

// Around fork(): a child must not inherit the mutex from a thread that it does not have.
void lock_registry() { registry().mutex.lock(); }
void unlock_registry() { registry().mutex.unlock(); }

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
  static const bool safe_to_fork = ::pthread_atfork(lock_registry, unlock_registry, unlock_registry) == 0;
  if (!safe_to_fork) throw std::bad_alloc();
  Registry& all = registry();
  const std::lock_guard guard(all.mutex);
  if (entry.by_address.is_linked()) return;
  all.entries.insert(entry);  // behind those with the same address
  removals.fetch_add(1, std::memory_order_release);
}

void remove_from_registry(RegistryEntry& entry) noexcept {
  Registry& all = registry();
  const std::lock_guard guard(all.mutex);
  if (!entry.by_address.is_linked()) return;
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

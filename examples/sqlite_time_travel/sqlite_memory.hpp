// Where SQLite's memory comes from: from an arena, or from the process as usual. SQLite itself is not changed.
//
// For a rollback to be right, all that SQLite remembers must go back together. Its memory does: the connection, the
// pages of the database, the schema and statements are all allocated. What it keeps in static variables stays:
//  - that it is initialised, and with what: so it is initialised before any snapshot, and shut down after all;
//  - counters of memory in use: switched off, since they would count what was rolled back;
//  - a list of cached pages of all connections, in a library compiled with SQLITE_ENABLE_MEMORY_MANAGEMENT or given
//    memory by SQLITE_CONFIG_PAGECACHE: refused, and not done. Otherwise each connection has a list of its own
//    ("separateCache" in SQLite's pcache1.c);
//  - lists of open files and of shared caches: nothing here opens a file or shares a cache.
#pragma once

#include <cow/cow.hpp>
#include <sqlite3.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

namespace sqlite_time_travel {

namespace detail {

inline void check(int result, const char* what) {
  if (result != SQLITE_OK) throw std::runtime_error(std::string(what) + ": " + sqlite3_errstr(result));
}

/// SQLite as it is after start, with these as its malloc and free. No connection may be open.
inline void initialise_sqlite(const sqlite3_mem_methods& methods) {
  check(sqlite3_shutdown(), "cannot shut SQLite down");
  check(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), "cannot give SQLite memory");
  check(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0), "cannot switch off SQLite's counters of memory");
  check(sqlite3_initialize(), "cannot initialise SQLite");
}

/// The ones that SQLite starts with.
inline const sqlite3_mem_methods& usual_methods() {
  static const sqlite3_mem_methods methods = [] {
    sqlite3_mem_methods found{};
    check(sqlite3_shutdown(), "cannot shut SQLite down");
    check(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &found), "cannot ask SQLite for its malloc");
    return found;
  }();
  return methods;
}

/// The heap that SQLite's memory comes from: its methods are told of none.
inline cow::Heap*& heap_in_use() noexcept {
  static cow::Heap* heap = nullptr;
  return heap;
}

inline constexpr sqlite3_mem_methods heap_methods{
    .xMalloc = [](int bytes) { return heap_in_use()->try_allocate(static_cast<std::size_t>(bytes)); },
    .xFree = [](void* block) { heap_in_use()->deallocate(block); },
    .xRealloc =
        [](void* block, int bytes) { return heap_in_use()->try_reallocate(block, static_cast<std::size_t>(bytes)); },
    .xSize = [](void* block) { return static_cast<int>(heap_in_use()->usable_size(block)); },
    .xRoundup = [](int bytes) { return static_cast<int>(cow::Heap::rounded_size(static_cast<std::size_t>(bytes))); },
    .xInit = [](void*) { return SQLITE_OK; },
    .xShutdown = [](void*) {},
    .pAppData = nullptr,
};

}  // namespace detail

/// While it lives, SQLite gets its memory as usual. One at a time in a process, and no connection may outlive it.
class UsualMemory {
 public:
  UsualMemory() { detail::initialise_sqlite(detail::usual_methods()); }
  UsualMemory(const UsualMemory&) = delete;
  UsualMemory& operator=(const UsualMemory&) = delete;
  ~UsualMemory() { sqlite3_shutdown(); }
};

/// While it lives, SQLite gets all its memory from an arena, and its databases can be rolled back with that. One at a
/// time in a process, and no connection may outlive it. A connection must not be closed, and a statement not be kept,
/// across a rollback to when it was not; and no call of SQLite may be in progress at a snapshot or a rollback.
class MemoryInArena {
 public:
  explicit MemoryInArena(std::size_t capacity) : MemoryInArena(cow::Arena(options_for(capacity))) {}
  /// The arena may hold SQLite's memory already, of a process that was like this one.
  explicit MemoryInArena(cow::Arena arena) : arena_(std::move(arena)), heap_(arena_) {
    if (sqlite3_compileoption_used("ENABLE_MEMORY_MANAGEMENT") != 0) {
      throw std::runtime_error("this SQLite keeps a list of all cached pages outside of its memory "
                               "(SQLITE_ENABLE_MEMORY_MANAGEMENT), which a rollback would not take back");
    }
    (void)detail::usual_methods();  // asked for while they still are the ones in use
    detail::heap_in_use() = &heap_;
    detail::initialise_sqlite(detail::heap_methods);
  }
  MemoryInArena(const MemoryInArena&) = delete;
  MemoryInArena& operator=(const MemoryInArena&) = delete;
  ~MemoryInArena() {
    sqlite3_shutdown();
    sqlite3_config(SQLITE_CONFIG_MALLOC, &detail::usual_methods());
    detail::heap_in_use() = nullptr;
  }

  cow::Arena& arena() noexcept { return arena_; }
  cow::Heap& heap() noexcept { return heap_; }
  const cow::Heap& heap() const noexcept { return heap_; }

 private:
  static cow::ArenaOptions options_for(std::size_t capacity) {
    cow::ArenaOptions options;
    options.capacity = capacity;
    options.name = "sqlite";
    return options;
  }

  cow::Arena arena_;
  cow::Heap heap_;
};

}  // namespace sqlite_time_travel

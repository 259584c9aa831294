// Layer 7: the three moments of fork(): before it, and after it on either side. See fork_cut.hpp.
//
// The locks, in this order, all held while the kernel copies the process, so that the child finds everything whole:
// what is published (no arena or view comes or goes), the hooks of all arenas (heaps), all operation mutexes, all fault
// locks, the installing of handlers, the list of children, the registry's slots. Only here a thread holds locks of more
// than one arena.
#include "fork_cut.hpp"

#include <pthread.h>

#include <csignal>
#include <cstddef>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>

#include "arena_lifetime.hpp"
#include "barrier.hpp"
#include "fault_install.hpp"
#include "fault_registry.hpp"
#include "fork_children.hpp"
#include "fork_isolation.hpp"
#include "mapped_view.hpp"
#include "os.hpp"

namespace cow {
namespace {

struct CutArena {
  FaultSlot* slot = nullptr;
  CutHook* hook = nullptr;  // its before_cut() was called; lives as long as the arena
  Version* version = nullptr;

  ArenaBooks& books() const noexcept { return *slot->books; }
};

/// One fork() at a time: begin_fork() covers this.
struct Fork {
  bool under_way = false;
  std::uint64_t generation = 0;  // of the parent
  sigset_t old_mask;
  bool any_published = false;
  BookVector<CutArena> arenas;
  ForkChild* child = nullptr;    // null: there was no memory for it, and the child is shut out of everything
};

/// Never destroyed: a static destructor may fork.
Fork& the_fork() noexcept {
  alignas(Fork) static std::byte place[sizeof(Fork)];
  static Fork& made = *::new (place) Fork;
  return made;
}

/// Signals that arrive on their own wait: their handlers might want an arena.
void block_signals(sigset_t& old) noexcept {
  sigset_t mask;
  sigfillset(&mask);
  for (const int synchronous : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS}) sigdelset(&mask, synchronous);
  os::block_signals(mask, old);
}

void open_child(Fork& fork) noexcept {
  const os::Result<ForkChild*> child = book_new<ForkChild>();
  if (!child) return;
  fork.child = child.value;
  if (!fork.child->open()) return;
  book_delete(fork.child);
  fork.child = nullptr;
}

void list_arenas(Fork& fork) noexcept {
  fork.arenas.clear();
  fork.any_published = false;
  fault_registry::for_each_published(fork.generation, [&](FaultSlot& slot) {
    slot.kept_for_child = false;
    fork.any_published = true;
    if (slot.books == nullptr) return;
    if (fork.arenas.push_back({&slot, nullptr, nullptr})) return;  // the child will find the range sealed off
  });
}

/// All hooks before any operation mutex: some operations hold one arena's hook while they wait for another arena's
/// mutex.
void hold_hooks(Fork& fork) noexcept {
  for (CutArena& arena : fork.arenas) {
    CutHook* hook = nullptr;
    {
      const std::lock_guard guard(arena.books().operation);
      hook = arena.books().hook.get();
    }
    try {
      if (hook != nullptr) hook->before_cut();
      arena.hook = hook;
    } catch (const std::exception&) {  // then what it keeps together may be cut in half, as without it
    }
  }
}

/// From here on whoever writes to a protected page waits.
void hold_slots(Fork& fork) noexcept {
  fault_registry::for_each_published(fork.generation, [](FaultSlot& slot) { slot.lock.lock(); });
}

void cut_arenas(Fork& fork) noexcept {
  for (CutArena& arena : fork.arenas) {
    if (fork.child == nullptr || fork.child->kept.make_room(1)) continue;
    const LentVersion lent = take_and_lend(arena.books());
    if (lent.version != nullptr) fork.child->kept.append({lent.version, lent.loan});
    arena.version = lent.version;
    arena.slot->kept_for_child = lent.loan != nullptr;
  }
}

/// A view's frames stay for the child as well.
void keep_views(Fork& fork) noexcept {
  fault_registry::for_each_published(fork.generation, [&](FaultSlot& slot) {
    if (slot.view == nullptr) return;
    if (fork.child == nullptr || fork.child->kept.make_room(1)) return;
    Version& version = *slot.view->version;
    version.handles.fetch_add(1, std::memory_order_relaxed);
    {
      FaultLockHeld held(version.books.family.file.lock());
      ++slot.view->loan->holders;
    }
    fork.child->kept.append({&version, slot.view->loan});
    slot.kept_for_child = true;
  });
}

void prepare() noexcept {
  if (fault_registry::slots_used() == 0) return;  // one taken right now is a thread's that the child will not have
  fork_children::release_ended();
  sigset_t old_mask;
  block_signals(old_mask);
  fault_registry::begin_fork();
  Fork& fork = the_fork();
  fork.under_way = true;
  fork.generation = os::process_generation();
  fork.old_mask = old_mask;
  list_arenas(fork);
  if (fork.any_published) open_child(fork);
  hold_hooks(fork);
  for (CutArena& arena : fork.arenas) arena.books().operation.lock();
  hold_slots(fork);
  cut_arenas(fork);
  keep_views(fork);
  installation_lock().lock();
  fork_children::lock().lock();
  fault_registry::slots_lock().lock();
  fault_registry::hold_all_locks(true);
}

/// On both sides: lets go of everything, in the opposite order.
void finish(Fork& fork) noexcept {
  fault_registry::hold_all_locks(false);
  fault_registry::slots_lock().unlock();
  fork_children::lock().unlock();
  installation_lock().unlock();
  fault_registry::for_each_published(fork.generation, [](FaultSlot& slot) { slot.lock.unlock(); });
  for (CutArena& arena : fork.arenas) arena.books().operation.unlock();
  for (CutArena& arena : fork.arenas) {
    arena.books().cuts.fetch_add(1, std::memory_order_release);
    if (arena.hook != nullptr) arena.hook->after_cut();
  }
  fork.child = nullptr;
  fork.under_way = false;
  const sigset_t old_mask = fork.old_mask;
  fault_registry::end_fork();
  os::restore_signals(old_mask);
}

/// Also when fork() failed: then nobody has the page mapped, and what was kept goes the next time we look.
void go_on_as_parent() noexcept {
  Fork& fork = the_fork();
  if (!fork.under_way) return;
  if (fork.child != nullptr) {
    fork.child->leave_page_to_child();
    fork_children::add(*fork.child);
  }
  finish(fork);
}

void isolate_arenas(Fork& fork) noexcept {
  for (const CutArena& arena : fork.arenas) {
    ArenaBooks& books = arena.books();
    books.count_mappings(0 - books.mappings);
    books.barrier->leave(books);
  }
  for (const CutArena& arena : fork.arenas) {
    if (!arena.slot->kept_for_child) continue;
    const std::uint64_t share = MappingBudget::left() / 2;  // each takes what it needs, at most half of what is left
    arena.slot->kept_for_child = !isolate(arena.books(), arena.version->runs, share);
  }
}

/// Before fork() returns, so that no code of the child's own comes first: nothing that the child can write is shared.
void begin_as_child() noexcept {
  Fork& fork = the_fork();
  if (!fork.under_way) return;
  fork_children::forget_all();
  isolate_arenas(fork);
  fault_registry::for_each_published(fork.generation, [](FaultSlot& slot) {
    const std::uintptr_t begin = slot.begin.load(std::memory_order_relaxed);
    const std::uintptr_t end = slot.end.load(std::memory_order_relaxed);
    if (!slot.kept_for_child) os::seal_off(reinterpret_cast<void*>(begin), end - begin);
  });
  if (fork.child != nullptr) {
    fork.child->become_this_process();
    book_delete(fork.child);
  }
  finish(fork);
}

std::mutex watching_lock;
bool watching = false;

os::Error watch_once() noexcept {
  const std::lock_guard guard(watching_lock);
  if (watching) return {};
  os::Error error = os::watch_for_forks();
  if (!error) error = {::pthread_atfork(prepare, go_on_as_parent, begin_as_child)};
  watching = !error;
  return error;
}

[[gnu::constructor]] void watch_from_the_start() { (void)watch_once(); }

}  // namespace

void watch_forks() {
  if (const os::Error error = watch_once()) {
    throw std::system_error(error.code, std::generic_category(), "cow: preparing for fork()");
  }
}

}  // namespace cow

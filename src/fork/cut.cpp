// The three moments of fork(): before it, and after it on either side. See fork/cut.hpp.
//
// The cut is made under all locks that a writer passes with, in this order: what is published (no arena or view comes
// or goes), the hooks of all arenas (heaps), all operation mutexes, all fault locks. Only here a thread holds locks of
// more than one arena. All are let go again before the handlers of other libraries run and libc takes its own locks,
// who may be waiting for a thread that writes. Writers wait at the gate instead.
//
// So the child finds the books and the locks of the parent as other threads have left them, perhaps half done. It uses
// neither: what it needs of the arenas is in ForkCut, and the locks that its own arenas need are made anew.
#include "fork/cut.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <exception>
#include <mutex>
#include <new>
#include <span>
#include <system_error>

#include "arena/lifetime.hpp"
#include "arena/mapped_view.hpp"
#include "arena/operation.hpp"
#include "barrier/barrier.hpp"
#include "faults/install.hpp"
#include "faults/registry.hpp"
#include "faults/report.hpp"
#include "fork/children.hpp"
#include "fork/isolation.hpp"
#include "kernel/fork_gate.hpp"
#include "kernel/os.hpp"
#include "kernel/other_stack.hpp"
#include "kernel/process_lock.hpp"

namespace cow {
namespace {

/// A range that was published when the cut was made.
struct Published {
  FaultSlot* slot;
  std::uint64_t publication;

  /// In the child: whether it still was when the process was copied.
  bool is_there() const noexcept {
    return slot->end.load(std::memory_order_relaxed) != 0 && slot->publication == publication;
  }
};

struct CutArena {
  Published range;
  ArenaBooks* books;
  CutHook* hook;               // its before_cut() was called; lives as long as the arena
  CutHook* asked;              // the same, also where that failed
  std::size_t first_run, runs; // what the child is to show; the version's own list may change
  std::size_t first_excluded, excluded;  // and what stays as it is: the kernel copies that
  bool kept;

  CutArena(FaultSlot& slot) noexcept
      : range{&slot, slot.publication}, books(slot.books), hook(nullptr), asked(nullptr), first_run(0), runs(0),
        first_excluded(0), excluded(0), kept(false) {}
};

/// What a fork() knows of the arenas: its own, whatever becomes of them before the process is copied.
struct ForkCut {
  BookVector<CutArena> arenas;
  BookVector<Run> runs;
  BookVector<Pages> excluded;
  BookVector<Published> views;  // those that are kept
  ForkChild* child = nullptr;   // null: there was no memory for it, and the child is shut out of everything
};

/// One fork(), from before it to after it.
struct Fork {
  bool under_way = false;
  bool signals_blocked = false;
  std::uint32_t turn = 0;        // at the gate
  std::uint64_t generation = 0;  // of the parent; stays, for a child that finds no fork under way
  sigset_t old_mask{};
  ForkCut* cut = nullptr;        // null: as without a child
  const ArenaBooks* hidden = nullptr;  // from the child, which must not run on its parent's stack there
};

constinit thread_local Fork this_threads_fork;

/// Signals that arrive on their own wait: their handlers might want an arena.
void block_signals(sigset_t& old) noexcept {
  sigset_t mask;
  sigfillset(&mask);
  for (const int synchronous : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS}) sigdelset(&mask, synchronous);
  os::block_signals(mask, old);
}

void open_child(ForkCut& cut) noexcept {
  const os::Result<ForkChild*> child = book_new<ForkChild>();
  if (!child) return;
  cut.child = child.value;
  if (!cut.child->open()) return;
  book_delete(cut.child);
  cut.child = nullptr;
}

/// What is published stays so, without the slots' locks.
void list_arenas(ForkCut& cut, std::uint64_t generation) noexcept {
  fault_registry::for_each_published(generation, [&](FaultSlot& slot) COW_HELD_UNCHECKED {
    if (slot.books == nullptr) return;
    if (cut.arenas.push_back(CutArena(slot))) return;  // the child will find the range sealed off
  });
}

/// All hooks before any operation mutex: some operations hold one arena's hook while they wait for another arena's
/// mutex.
void hold_hooks(ForkCut& cut) noexcept {
  for (CutArena& arena : cut.arenas) {
    CutHook* hook = nullptr;
    {
      const OperationHeld held(*arena.books);
      hook = arena.books->hook.get();
    }
    if (hook == arena.asked) continue;
    arena.asked = hook;
    try {
      hook->before_cut();
      arena.hook = hook;
    } catch (const std::exception&) {  // then what it keeps together may be cut in half, as without it
    }
  }
}

/// And whether no hook has come meanwhile, who may be in the middle of something: then once more.
bool hold_operations(ForkCut& cut) noexcept {
  for (CutArena& arena : cut.arenas) arena.books->operation.lock();
  const auto has_another = [](const CutArena& arena) COW_HELD_UNCHECKED {
    return arena.books->hook.get() != arena.asked;
  };
  if (std::none_of(cut.arenas.begin(), cut.arenas.end(), has_another)) return true;
  for (CutArena& arena : cut.arenas) arena.books->operation.unlock();
  return false;
}

/// From here on whoever writes to a protected page waits.
void hold_arenas(ForkCut& cut) noexcept {
  do {
    hold_hooks(cut);
  } while (!hold_operations(cut));
  for (CutArena& arena : cut.arenas) arena.books->fault_lock->lock();
}

/// In the opposite order. Nobody who waits at the gate holds what the forking thread is going to need.
void let_arenas_go(ForkCut& cut) noexcept {
  for (CutArena& arena : cut.arenas) arena.books->fault_lock->unlock();
  for (CutArena& arena : cut.arenas) arena.books->operation.unlock();
  for (CutArena& arena : cut.arenas) {
    arena.books->cuts.fetch_add(1, std::memory_order_release);
    if (arena.hook != nullptr) arena.hook->after_cut();
  }
}

bool copy_runs(ForkCut& cut, CutArena& arena, const RunList& runs) noexcept {
  if (cut.runs.make_room(runs.size())) return false;
  arena.first_run = cut.runs.size();
  arena.runs = runs.size();
  for (const Run& run : runs) cut.runs.append(run);
  return true;
}

bool list_excluded(ForkCut& cut, CutArena& arena) noexcept COW_FAULT_LOCKED {
  const PageSet& excluded = arena.books->excluded;
  arena.first_excluded = cut.excluded.size();
  for (const Pages run : excluded.runs()) {
    if (cut.excluded.push_back(run)) return false;
    ++arena.excluded;
  }
  return true;
}

/// The locks of all of them are held.
void cut_arenas(ForkCut& cut) noexcept COW_HELD_UNCHECKED {
  for (CutArena& arena : cut.arenas) {
    if (cut.child == nullptr || cut.child->kept.make_room(1)) continue;
    const LentVersion lent = take_and_lend(*arena.books);
    if (lent.version != nullptr) cut.child->kept.append({lent.version, lent.loan});
    arena.kept = lent.loan != nullptr && copy_runs(cut, arena, lent.version->runs) && list_excluded(cut, arena);
  }
}

/// A view's frames stay for the child as well. What is published stays so, without the slots' locks.
void keep_views(ForkCut& cut, std::uint64_t generation) noexcept {
  fault_registry::for_each_published(generation, [&](FaultSlot& slot) COW_HELD_UNCHECKED {
    if (slot.view == nullptr || cut.child == nullptr) return;
    if (cut.child->kept.make_room(1) || cut.views.push_back({&slot, slot.publication})) return;
    Version& version = *slot.view->version;
    version.handles.fetch_add(1, std::memory_order_relaxed);
    {
      FaultLockHeld held(version.books.family.file.lock());
      ++slot.view->loan->holders;
    }
    cut.child->kept.append({&version, slot.view->loan});
  });
}

void make_cut(Fork& fork) noexcept COW_HELD_UNCHECKED {  // prepare() has blocked signals
  fault_registry::begin_cut();
  ForkCut& cut = *fork.cut;
  list_arenas(cut, fork.generation);
  open_child(cut);
  hold_arenas(cut);
  fork.turn = fork_gate::shut();
  cut_arenas(cut);
  keep_views(cut, fork.generation);
  let_arenas_go(cut);
  fault_registry::end_cut();
}

/// On both sides.
void finish(Fork& fork) noexcept {
  if (fork.cut != nullptr) book_delete(fork.cut);
  const bool signals_blocked = fork.signals_blocked;
  const sigset_t old_mask = fork.old_mask;
  const std::uint64_t generation = fork.generation;
  fork = {};
  fork.generation = generation;
  if (signals_blocked) os::restore_signals(old_mask);
}

/// Also when fork() failed: then nobody has the page mapped, and what was kept goes the next time we look.
void go_on_as_parent() noexcept {
  Fork& fork = this_threads_fork;
  if (!fork.under_way) return;
  const bool has_child = fork.cut != nullptr && fork.cut->child != nullptr;
  if (has_child) fork.cut->child->leave_page_to_child();  // before another fork() can hand it to a child of its own
  if (fork.hidden != nullptr) os::show_to_children(fork.hidden->base, fork.hidden->bytes(fork.hidden->pages));
  fork_gate::open(fork.turn);
  if (has_child) fork_children::add(*fork.cut->child);
  finish(fork);
}

/// The child would run on its parent's stack until it has memory of its own. So it gets none there: the kernel ends it
/// before it does anything, and the parent goes on. libc blocks all signals before it asks the kernel, so that no store
/// to the stack may meet a protected page from there on; whoever would protect it waits at the gate.
void prepare_on_stack_inside(Fork& fork, const ArenaBooks& around) noexcept {
  ReportLine line;
  line << "cow: fork() on a stack inside arena \"" << around.name << "\": the child cannot run there, and ends; "
       << "fork on an ordinary stack, such as a scheduler's";
  line.write();
  const auto cut = [](void* of) noexcept { make_cut(*static_cast<Fork*>(of)); };
  if (fork.cut != nullptr) (void)call_on_other_stack(cut, &fork);
  open_stack_ahead(around);
  os::hide_from_children(around.base, around.bytes(around.pages));
  fork.hidden = &around;
}

void prepare() noexcept {
  Fork& fork = this_threads_fork;
  if (fork.under_way) go_on_as_parent();  // another library's handler left the last one by an exception
  fork.under_way = true;
  fork.generation = os::process_generation();
  if (fault_registry::slots_used() == 0) return;
  fork_children::release_ended();
  try_to_keep_handlers();  // the cut may change barriers
  block_signals(fork.old_mask);
  fork.signals_blocked = true;
  const os::Result<ForkCut*> cut = book_new<ForkCut>();
  fork.cut = cut.value;
  const ArenaBooks* const around = arena_of_this_stack();
  if (cut && around == nullptr) make_cut(fork);
  if (around != nullptr) prepare_on_stack_inside(fork, *around);
}

/// Other threads were let through where they would have waited for ever: the count may be off by theirs. In the child
/// no lock covers it.
void forget_mappings(ArenaBooks& books) noexcept COW_HELD_UNCHECKED {
  const std::uint64_t used = MappingBudget::used.load(std::memory_order_relaxed);
  MappingBudget::used.store(used - std::min(used, books.mappings), std::memory_order_relaxed);
  books.mappings = 0;
}

void isolate_arenas(ForkCut& cut) noexcept {
  for (const CutArena& arena : cut.arenas) {
    if (!arena.range.is_there()) continue;
    forget_mappings(*arena.books);
    arena.books->barrier->leave(*arena.books);
    if (arena.hook != nullptr) arena.hook->in_fork_child();
  }
  for (const CutArena& arena : cut.arenas) {
    if (!arena.range.is_there() || !arena.kept) continue;
    const std::uint64_t share = MappingBudget::left() / 2;  // each takes what it needs, at most half of what is left
    const std::span<const Run> runs = cut.runs.span().subspan(arena.first_run, arena.runs);
    const std::span<const Pages> excluded = cut.excluded.span().subspan(arena.first_excluded, arena.excluded);
    arena.range.slot->kept = !isolate(*arena.books, runs, excluded, share);
  }
}

/// Nothing that the child can write is shared.
void isolate_child(Fork& fork) noexcept {
  fault_registry::for_each_published(fork.generation, [](FaultSlot& slot) { slot.kept = false; });
  if (fork.cut != nullptr) {
    for (const Published& view : fork.cut->views) view.slot->kept = view.is_there();
    isolate_arenas(*fork.cut);
  }
  fault_registry::for_each_published(fork.generation, [](FaultSlot& slot) {
    const std::uintptr_t begin = slot.begin.load(std::memory_order_relaxed);
    const std::uintptr_t end = slot.end.load(std::memory_order_relaxed);
    if (!slot.kept) os::seal_off(reinterpret_cast<void*>(begin), end - begin);
  });
  if (fork.cut == nullptr || fork.cut->child == nullptr) return;
  fork.cut->child->become_this_process();
  book_delete(fork.cut->child);
}

constinit ProcessLock watching_lock;
std::atomic<bool> watching{false};

/// Before fork() returns, so that no code of the child's own comes first.
void begin_as_child() noexcept {
  fork_gate::open_in_child();
  fault_registry::begin_in_child();
  fork_children::begin_in_child();
  begin_installing_in_child();
  Fork& fork = this_threads_fork;
  // Not under way where a handler between our cut and the copy has forked itself: that fork() took the cut. Then the
  // child is shut out of the arenas.
  isolate_child(fork);
  finish(fork);
}

os::Error watch_once() noexcept {
  if (watching.load(std::memory_order_acquire)) return {};
  const std::lock_guard guard(watching_lock);
  if (watching.load(std::memory_order_relaxed)) return {};
  os::Error error = os::watch_for_forks();
  if (!error) error = {::pthread_atfork(prepare, go_on_as_parent, begin_as_child)};
  watching.store(!error, std::memory_order_release);
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

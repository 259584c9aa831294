// Which lock covers what, as words that clang's thread-safety analysis checks (-Wthread-safety, in every build by
// clang) and that other compilers do not see. The locks of one arena stand for those of all: only fork() holds two
// arenas' at once. Includes nothing of the project.
#pragma once

#if defined(__clang__)
#define COW_HELD_ATTRIBUTE(x) __attribute__((x))
#else
#define COW_HELD_ATTRIBUTE(x)
#endif

/// Before a field: touched only with the lock held.
#define COW_BY_OPERATION COW_HELD_ATTRIBUTE(guarded_by(::cow::held::operation))
#define COW_BY_FAULT_LOCK COW_HELD_ATTRIBUTE(guarded_by(::cow::held::fault_lock))
#define COW_BY_FILE_LOCK COW_HELD_ATTRIBUTE(guarded_by(::cow::held::file_lock))
#define COW_BY_PUBLISHED COW_HELD_ATTRIBUTE(guarded_by(::cow::held::published))
#define COW_BY_LIST_LOCK COW_HELD_ATTRIBUTE(guarded_by(::cow::held::list))
/// On a function: whoever calls it holds the lock, and has asynchronous signals blocked, as all locks want it: a
/// handler of the program's that stores to an arena would wait for its own thread.
#define COW_IN_OPERATION COW_HELD_ATTRIBUTE(requires_capability(::cow::held::operation, ::cow::held::signals))
#define COW_FAULT_LOCKED COW_HELD_ATTRIBUTE(requires_capability(::cow::held::fault_lock, ::cow::held::signals))
#define COW_FILE_LOCKED COW_HELD_ATTRIBUTE(requires_capability(::cow::held::file_lock, ::cow::held::signals))
/// On a function: asynchronous signals are blocked.
#define COW_SIGNALS_BLOCKED COW_HELD_ATTRIBUTE(requires_capability(::cow::held::signals))
/// On a class that holds a lock while it lives, on its constructor, and on its destructor.
#define COW_HOLDER COW_HELD_ATTRIBUTE(scoped_lockable)
#define COW_TAKES(...) COW_HELD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define COW_LETS_GO COW_HELD_ATTRIBUTE(release_capability())
/// On a function that goes without, or by ways that the analysis cannot follow: a comment says why that is right. A
/// lambda that a template calls, where the lock is held, needs none.
#define COW_HELD_UNCHECKED COW_HELD_ATTRIBUTE(no_thread_safety_analysis)

namespace cow::held {

struct COW_HELD_ATTRIBUTE(capability("lock")) Lock {};

// Words only: there are no such objects. In the order in which they are taken.
extern Lock signals;     // asynchronous signals are blocked
extern Lock published;   // which arenas and views are published
extern Lock operation;   // an arena's operation mutex
extern Lock fault_lock;  // an arena's fault lock
extern Lock file_lock;   // the memory file's lock
extern Lock list;        // of what the process has, such as slots or children: the last of all

}  // namespace cow::held

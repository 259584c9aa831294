// What lies behind each kind of handle, and how calls come by it.
#pragma once

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "capi/errors.hpp"
#include "capi/gates.hpp"
#include "capi/handles.hpp"
#include "cow/arena.hpp"
#include "cow/cow.h"
#include "cow/heap.hpp"
#include "cow/refuse_writes.hpp"
#include "cow/snapshot.hpp"
#include "cow/transaction.hpp"
#include "cow/view.hpp"

namespace cow::capi {

/// Whose arena is it: what is the arena's ends with that, whatever handles there are.
class OfArena {
 public:
  explicit OfArena(const void* arena) noexcept
      : handle_(reinterpret_cast<HandleNumber>(arena)), word_(word_of(handle_)) {}

  bool arena_is_open() const noexcept { return word_ != nullptr && word_->load(std::memory_order_acquire) == handle_; }

 private:
  HandleNumber handle_;
  const std::atomic<HandleNumber>* word_;
};

struct OpenHeap : OfArena {
  Heap heap;
  ArenaRef arena;
};

/// The transaction, which cannot be moved itself. One whose arena was closed has nothing to take back any more.
struct OpenTransaction : OfArena {
  std::unique_ptr<Transaction> transaction;

  OpenTransaction(const void* arena, std::unique_ptr<Transaction> begun) noexcept
      : OfArena(arena), transaction(std::move(begun)) {}
  OpenTransaction(OpenTransaction&&) noexcept = default;
  OpenTransaction& operator=(OpenTransaction&&) = delete;
  ~OpenTransaction();
};

template <class Handle>
struct Behind;
template <>
struct Behind<cow_arena> {
  using Object = Arena;
  static constexpr Kind kind = Kind::arena;
  static constexpr const char* name = "arena";
};
template <>
struct Behind<cow_snapshot> {
  using Object = Snapshot;
  static constexpr Kind kind = Kind::snapshot;
  static constexpr const char* name = "snapshot";
};
template <>
struct Behind<cow_view> {
  using Object = View;
  static constexpr Kind kind = Kind::view;
  static constexpr const char* name = "view";
};
template <>
struct Behind<cow_heap> {
  using Object = OpenHeap;
  static constexpr Kind kind = Kind::heap;
  static constexpr const char* name = "heap";
};

template <>
struct Behind<cow_transaction> {
  using Object = OpenTransaction;
  static constexpr Kind kind = Kind::transaction;
  static constexpr const char* name = "transaction";
};
template <>
struct Behind<cow_gate> {
  using Object = LentGate;
  static constexpr Kind kind = Kind::gate;
  static constexpr const char* name = "gate";
};
template <>
struct Behind<cow_write_refusal> {
  using Object = std::unique_ptr<RefuseWrites>;  // which cannot be moved itself
  static constexpr Kind kind = Kind::write_refusal;
  static constexpr const char* name = "refusal of writes";
};

inline HandleNumber number_of(const void* handle) noexcept { return reinterpret_cast<HandleNumber>(handle); }

/// The object, or null if the handle is not open.
template <class Handle>
auto* find(Handle* handle) noexcept {
  using Of = Behind<std::remove_const_t<Handle>>;
  auto* object = static_cast<typename Of::Object*>(find_object(number_of(handle), Of::kind));
  if constexpr (std::is_base_of_v<OfArena, typename Of::Object>) {
    if (object != nullptr && !object->arena_is_open()) object = nullptr;
  }
  return object;
}

template <class Handle>
std::string what_is_wrong_with(Handle* handle) {
  using Of = Behind<std::remove_const_t<Handle>>;
  const std::string name = Of::name;
  if (handle == nullptr) return "the " + name + " is NULL";
  if (find_object(number_of(handle), Of::kind) != nullptr) return "the " + name + "'s arena was closed";
  return "the " + name + " was closed, or is no " + name;
}

/// The object; throws Refused if the handle is not open.
template <class Handle>
auto& use(Handle* handle) {
  auto* const object = find(handle);
  if (object == nullptr) throw Refused(what_is_wrong_with(handle), EINVAL);
  return *object;
}

/// An arena that is going to be cut; throws Refused in a thread inside its own gate too.
inline Arena& use_to_cut(cow_arena* handle) {
  Arena& arena = use(handle);
  require_outside(detail::gate_of(arena));
  return arena;
}

/// f(object), or `otherwise` with the thread's text set.
template <class Handle, class Result, class F>
Result get(const char* call, Handle* handle, Result otherwise, F&& f) noexcept {
  Result result = otherwise;
  guarded(call, [&] { result = f(std::as_const(use(handle))); });
  return result;
}

/// A handle on the object, which it then owns.
template <class Handle>
Handle* open(typename Behind<Handle>::Object&& object) {
  auto owned = std::make_unique<typename Behind<Handle>::Object>(std::move(object));
  const HandleNumber handle = add_object(owned.get(), Behind<Handle>::kind);
  if (handle == 0) throw std::bad_alloc();
  owned.release();
  return reinterpret_cast<Handle*>(handle);  // never followed
}

/// *result = a handle on f(), or NULL.
template <class Handle, class F>
int opening(const char* call, Handle** result, F&& f) noexcept {
  if (result == nullptr) return fail(call, EINVAL, "the place for the new handle is NULL");
  *result = nullptr;
  return guarded(call, [&] { *result = open<Handle>(f()); });
}

/// Closes the handle and gives the object; throws Refused if the handle is not open.
template <class Handle>
auto take(Handle* handle) {
  using Of = Behind<Handle>;
  auto* const object = static_cast<typename Of::Object*>(remove_object(number_of(handle), Of::kind));
  if (object == nullptr) throw Refused(what_is_wrong_with(handle), EINVAL);
  return std::unique_ptr<typename Of::Object>(object);
}

template <class Handle>
void close(Handle* handle) noexcept {
  using Of = Behind<Handle>;
  const KeptErrno kept;
  delete static_cast<typename Of::Object*>(remove_object(number_of(handle), Of::kind));
}

/// As C names it; throws Refused for what the library does not know.
Barrier barrier_of(int barrier);

}  // namespace cow::capi

// Snapshots and views in C.
#include <cerrno>
#include <cstddef>
#include <span>

#include "capi/objects.hpp"
#include "cow/cow.h"
#include "cow/heap.hpp"
#include "cow/snapshot.hpp"
#include "cow/view.hpp"

using namespace cow::capi;

void cow_snapshot_release(cow_snapshot* snapshot) noexcept { close(snapshot); }

int cow_snapshot_retain(const cow_snapshot* snapshot, cow_snapshot** another) noexcept {
  return opening(__func__, another, [&] { return cow::Snapshot(use(snapshot)); });
}

int cow_snapshot_same(const cow_snapshot* a, const cow_snapshot* b) noexcept {
  bool same = false;
  const int error = guarded(__func__, [&] { same = use(a) == use(b); });
  return error != 0 ? error : same ? 1 : 0;
}

std::size_t cow_snapshot_capacity(const cow_snapshot* snapshot) noexcept {
  return get(__func__, snapshot, std::size_t{0}, [](const auto& s) { return s.capacity(); });
}

int cow_snapshot_clone(const cow_snapshot* snapshot, cow_arena** clone) noexcept {
  return opening(__func__, clone, [&] { return use(snapshot).clone(); });
}

int cow_snapshot_view(const cow_snapshot* snapshot, cow_view** view) noexcept {
  return opening(__func__, view, [&] { return use(snapshot).view(); });
}

int cow_snapshot_read(const cow_snapshot* snapshot, std::size_t offset, void* out, std::size_t n) noexcept {
  return guarded(__func__, [&] {
    const cow::Snapshot& from = use(snapshot);
    require(out != nullptr || n == 0, "the place to read to is NULL");
    from.read(offset, std::span(static_cast<std::byte*>(out), n));
  });
}

int cow_snapshot_exclusive_bytes(const cow_snapshot* snapshot, std::size_t* bytes) noexcept {
  return guarded(__func__, [&] {
    const cow::Snapshot& of = use(snapshot);
    require(bytes != nullptr, "the place for the result is NULL");
    *bytes = of.exclusive_bytes();
  });
}

const void* cow_view_data(const cow_view* view) noexcept {
  return get(__func__, view, static_cast<const void*>(nullptr),
             [](const auto& v) { return static_cast<const void*>(v.data()); });
}

std::size_t cow_view_size(const cow_view* view) noexcept {
  return get(__func__, view, std::size_t{0}, [](const auto& v) { return v.size(); });
}

int cow_view_contains(const cow_view* view, const void* p) noexcept {
  return get(__func__, view, -EINVAL, [p](const auto& v) { return v.contains(p) ? 1 : 0; });
}

void cow_view_close(cow_view* view) noexcept { close(view); }

const void* cow_view_root(const cow_view* view) noexcept {
  const void* root = nullptr;
  guarded(__func__, [&] { root = cow::Heap::root<void>(use(view)); });
  return root;
}

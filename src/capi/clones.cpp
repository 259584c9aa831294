// What work on clones wants, in C: the same place in another mapping, and writes that are mistakes.
#include <cstddef>
#include <memory>

#include "capi/objects.hpp"
#include "cow/cow.h"
#include "cow/refuse_writes.hpp"
#include "cow/same_place.hpp"

using namespace cow::capi;

namespace {

static_assert(COW_REFUSE_THIS_THREAD == static_cast<int>(cow::RefuseWrites::By::this_thread));
static_assert(COW_REFUSE_ALL_THREADS == static_cast<int>(cow::RefuseWrites::By::all_threads));

/// Where `target` has what `original` has at p; null with the thread's text set, and for null.
template <class Target, class Original>
const std::byte* place(const char* call, Target* target, Original* original, const void* p, std::size_t n) noexcept {
  const std::byte* found = nullptr;
  guarded(call, [&] {
    const cow::detail::MappedRange to = cow::detail::range_of(use(target)), from = cow::detail::range_of(use(original));
    if (p != nullptr) found = to.data + cow::detail::offset_of_place(from, to, p, n);
  });
  return found;
}

}  // namespace

void* cow_arena_at(const cow_arena* arena, const cow_arena* original, const void* p, std::size_t n) noexcept {
  return const_cast<std::byte*>(place(__func__, arena, original, p, n));
}

void* cow_arena_at_of_view(const cow_arena* arena, const cow_view* original, const void* p, std::size_t n) noexcept {
  return const_cast<std::byte*>(place(__func__, arena, original, p, n));
}

const void* cow_view_at(const cow_view* view, const cow_arena* original, const void* p, std::size_t n) noexcept {
  return place(__func__, view, original, p, n);
}

const void* cow_view_at_of_view(const cow_view* view, const cow_view* original, const void* p,
                                std::size_t n) noexcept {
  return place(__func__, view, original, p, n);
}

int cow_refuse_writes(cow_arena* original, int of_whom, cow_write_refusal** refusal) noexcept {
  return opening(__func__, refusal, [&] {
    cow::Arena& arena = use_to_cut(original);
    const bool known = of_whom == COW_REFUSE_THIS_THREAD || of_whom == COW_REFUSE_ALL_THREADS;
    require(known, "this library knows no such threads to refuse");
    return std::make_unique<cow::RefuseWrites>(arena, static_cast<cow::RefuseWrites::By>(of_whom));
  });
}

void cow_write_refusal_close(cow_write_refusal* refusal) noexcept { close(refusal); }

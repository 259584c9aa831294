// Heaps in C: malloc and its relatives with a heap as context.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "capi/heap_blocks.hpp"
#include "capi/objects.hpp"
#include "capi/values.hpp"
#include "cow/cow.h"
#include "cow/heap.hpp"

using namespace cow::capi;

namespace {

constexpr cow_heap_options default_options{.size = sizeof(cow_heap_options),
                                           .keep_free_bytes = cow::HeapOptions().keep_free_bytes};

cow::Heap heap_in(cow::Arena& arena, const cow_heap_options* given) {
  if (given == nullptr) return cow::Heap(arena);
  const cow_heap_options options = read_options(given, default_options);
  return cow::Heap(arena, {.keep_free_bytes = options.keep_free_bytes});
}

OpenHeap open_heap(cow_arena* arena, const cow_heap_options* given) {
  cow::Arena& in = use(arena);
  const cow::ArenaRef ref = in.ref();  // what is wrong with the place of the call is told here
  try {
    return {OfArena(arena), heap_in(in, given), ref};
  } catch (const std::invalid_argument&) {
    throw;
  } catch (const std::logic_error& error) {
    throw Refused(error.what(), in.stats().pages_excluded != 0 ? EINVAL : EBUSY);
  }
}

}  // namespace

void cow_heap_options_init(cow_heap_options* options) noexcept {
  if (options != nullptr) *options = default_options;
}

int cow_heap_open(cow_arena* arena, const cow_heap_options* options, cow_heap** heap) noexcept {
  return opening(__func__, heap, [&] { return open_heap(arena, options); });
}

void cow_heap_close(cow_heap* heap) noexcept { close(heap); }

int cow_heap_same(const cow_heap* a, const cow_heap* b) noexcept {
  bool same = false;
  const int error = guarded(__func__, [&] { same = use(a).heap == use(b).heap; });
  return error != 0 ? error : same ? 1 : 0;
}

void* cow_heap_malloc(cow_heap* heap, std::size_t n) noexcept { return allocate(__func__, heap, n); }

void* cow_heap_calloc(cow_heap* heap, std::size_t count, std::size_t n) noexcept {
  return allocate_zeroed(__func__, heap, count, n);
}

void* cow_heap_realloc(cow_heap* heap, void* block, std::size_t n) noexcept {
  return reallocate(__func__, heap, block, n);
}

void cow_heap_free(cow_heap* heap, void* block) noexcept { deallocate(__func__, heap, block); }

void* cow_heap_aligned_alloc(cow_heap* heap, std::size_t alignment, std::size_t n) noexcept {
  return allocate(__func__, heap, n, alignment);
}

void* cow_heap_aligned_calloc(cow_heap* heap, std::size_t alignment, std::size_t n) noexcept {
  return allocate_zeroed(__func__, heap, 1, n, alignment);
}

char* cow_heap_strdup(cow_heap* heap, const char* text) noexcept { return duplicate(__func__, heap, text); }

std::size_t cow_heap_usable_size(const cow_heap* heap, const void* block) noexcept {
  return get(__func__, heap, std::size_t{0}, [block](const auto& h) { return h.heap.usable_size(block); });
}

std::size_t cow_heap_rounded_size(std::size_t n) noexcept { return cow::Heap::rounded_size(n); }

int cow_heap_set_root(cow_heap* heap, void* root) noexcept {
  return guarded(__func__, [&] { use(heap).heap.set_root(root); });
}

void* cow_heap_root(const cow_heap* heap) noexcept {
  void* root = nullptr;
  guarded(__func__, [&] { root = use(heap).heap.root<void>(); });
  return root;
}

int cow_heap_get_stats(const cow_heap* heap, cow_heap_stats* stats) noexcept {
  return guarded(__func__, [&] {
    const OpenHeap& of = use(heap);
    check_result(stats);
    const cow::HeapStats now = of.heap.stats();
    write_result(stats, {.size = 0,
                         .live_blocks = now.live_blocks,
                         .live_bytes = now.live_bytes,
                         .used_bytes = now.used_bytes,
                         .kept_bytes = now.kept_bytes,
                         .bookkeeping_bytes = now.bookkeeping_bytes,
                         .refused_frees = now.refused_frees});
  });
}

int cow_heap_check(const cow_heap* heap) noexcept {
  return guarded(__func__, [&] {
    const cow::HeapReport report = use(heap).heap.check();
    std::string text;
    for (const std::string& problem : report.problems) text += (text.empty() ? "" : "; ") + problem;
    if (!report.ok()) throw Refused(text, EIO);
  });
}

const void* cow_heap_last_refused(const cow_heap* heap) noexcept {
  const void* last = nullptr;
  guarded(__func__, [&] { last = use(heap).heap.check().last_refused; });
  return last;
}

int cow_heap_trim(cow_heap* heap) noexcept {
  return guarded(__func__, [&] { use(heap).heap.trim(); });
}

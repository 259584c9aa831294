// Arenas in C.
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "capi/objects.hpp"
#include "capi/values.hpp"
#include "cow/arena.hpp"
#include "cow/cow.h"
#include "cow/units.hpp"
#include "cow/write_guard.hpp"

using namespace cow::capi;

namespace {

constexpr cow_arena_options default_options{.size = sizeof(cow_arena_options),
                                            .capacity = std::size_t{1} << 30,
                                            .name = nullptr,
                                            .address = nullptr,
                                            .barrier = COW_BARRIER_MPROTECT,
                                            .single_writer = 0,
                                            .in_core_dumps = 1,
                                            .quiet_cuts = 0,
                                            .reserve_history_bytes = 0,
                                            .gate = nullptr};
constexpr std::size_t first_options_size = offsetof(cow_arena_options, gate);

static_assert(COW_BARRIER_MPROTECT == static_cast<int>(cow::Barrier::mprotect));
static_assert(COW_BARRIER_USERFAULTFD == static_cast<int>(cow::Barrier::userfaultfd));
static_assert(COW_BARRIER_AUTOMATIC == static_cast<int>(cow::Barrier::automatic));
static_assert(COW_BARRIER_KERNEL == static_cast<int>(cow::Barrier::kernel));
constexpr int last_barrier = COW_BARRIER_KERNEL;

cow::ArenaOptions options_of(const cow_arena_options* given) {
  const cow_arena_options options = read_options(given, default_options, first_options_size);
  cow::ArenaOptions result;
  result.capacity = options.capacity;
  if (options.name != nullptr) result.name = options.name;
  result.address = options.address;
  result.barrier = barrier_of(options.barrier);
  result.single_writer = options.single_writer != 0;
  result.quiet_cuts = options.quiet_cuts != 0;
  if (options.gate != nullptr) result.gate = &use(options.gate).gate();
  result.in_core_dumps = options.in_core_dumps != 0;
  result.reserve_history_bytes = options.reserve_history_bytes;
  return result;
}

void require_inside(const cow::Arena& arena, const void* p, std::size_t n) {
  if (n == 0 && p == nullptr) return;
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(p) - arena.data());
  require(offset <= arena.capacity() && n <= arena.capacity() - offset, "the range is not inside the arena");
}

/// The program's functions as an arena's hook.
class HookOfProgram final : public cow::CutHook {
 public:
  explicit HookOfProgram(const cow_cut_hook& hook) noexcept : hook_(hook) {}
  void before_cut() override { call(hook_.before); }
  void after_cut() noexcept override { call(hook_.after); }
  void in_fork_child() noexcept override { call(hook_.in_fork_child); }

 private:
  void call(void (*function)(void*)) noexcept {
    if (function != nullptr) function(hook_.context);
  }
  cow_cut_hook hook_;
};

}  // namespace

cow::Barrier cow::capi::barrier_of(int barrier) {
  require(barrier >= 0 && barrier <= last_barrier, "this library knows no such barrier");
  return static_cast<cow::Barrier>(barrier);
}

void cow_arena_options_init_sized(cow_arena_options* options, std::size_t size) noexcept {
  if (options != nullptr) init_options(options, size, default_options);
}

// For whoever was compiled when there was no size, or knows names alone.
void(cow_arena_options_init)(cow_arena_options* options) noexcept {
  cow_arena_options_init_sized(options, first_options_size);
}

int cow_arena_open(const cow_arena_options* options, cow_arena** arena) noexcept {
  return opening(__func__, arena, [&] { return cow::Arena(options_of(options)); });
}

void cow_arena_close(cow_arena* arena) noexcept { close(arena); }

void* cow_arena_data(const cow_arena* arena) noexcept {
  return get(__func__, arena, static_cast<void*>(nullptr), [](const auto& a) { return static_cast<void*>(a.data()); });
}

std::size_t cow_arena_capacity(const cow_arena* arena) noexcept {
  return get(__func__, arena, std::size_t{0}, [](const auto& a) { return a.capacity(); });
}

const char* cow_arena_name(const cow_arena* arena) noexcept {
  return get(__func__, arena, static_cast<const char*>(nullptr), [](const auto& a) { return a.ref().name(); });
}

int cow_arena_contains(const cow_arena* arena, const void* p) noexcept {
  return get(__func__, arena, -EINVAL, [p](const auto& a) { return a.contains(p) ? 1 : 0; });
}

int cow_arena_barrier(const cow_arena* arena) noexcept {
  return get(__func__, arena, -EINVAL, [](const auto& a) { return static_cast<int>(a.barrier()); });
}

std::uint64_t cow_arena_epoch(const cow_arena* arena) noexcept {
  return get(__func__, arena, std::uint64_t{0}, [](const auto& a) { return a.ref().epoch(); });
}

int cow_barrier_available(int barrier) noexcept {
  if (barrier < 0 || barrier > last_barrier) return fail(__func__, EINVAL, "this library knows no such barrier");
  cow::ArenaOptions options;
  options.capacity = cow::page_size();
  const int error = guarded(__func__, [&] {
    options.barrier = barrier_of(barrier);
    const cow::Arena arena(options);
  });
  return error == 0 ? 1 : 0;
}

int cow_arena_snapshot(cow_arena* arena, cow_snapshot** snapshot) noexcept {
  return opening(__func__, snapshot, [&] { return use_to_cut(arena).snapshot(); });
}

int cow_arena_clone(cow_arena* arena, cow_arena** clone) noexcept {
  return opening(__func__, clone, [&] { return use_to_cut(arena).clone(); });
}

int cow_arena_rollback(cow_arena* arena, const cow_snapshot* snapshot) noexcept {
  return guarded(__func__, [&] { use_to_cut(arena).rollback(use(snapshot)); });
}

int cow_arena_write(cow_arena* arena, void* to, const void* from, std::size_t n) noexcept {
  return guarded(__func__, [&] {
    cow::Arena& into = use(arena);
    require(from != nullptr || n == 0, "what to write is NULL");
    into.write(to, from, n);
  });
}

int cow_arena_write_batch(cow_arena* arena, const cow_write* writes, std::size_t count) noexcept {
  return guarded(__func__, [&] {
    cow::Arena& into = use(arena);
    require(writes != nullptr || count == 0, "the list of writes is NULL");
    std::vector<cow::Write> batch;
    batch.reserve(count);
    for (const cow_write& write : std::span(writes, count)) {
      require(write.from != nullptr || write.bytes == 0, "what to write is NULL");
      batch.push_back({write.to, write.from, write.bytes});
    }
    into.write(batch);
  });
}

int cow_arena_prepare_write(cow_arena* arena, void* p, std::size_t n) noexcept {
  return guarded(__func__, [&] { use(arena).prepare_write(p, n); });
}

int cow_arena_is_writable(const cow_arena* arena, const void* p, std::size_t n) noexcept {
  bool writable = false;
  const int error = guarded(__func__, [&] {
    const cow::Arena& of = use(arena);
    require_inside(of, p, n);
    writable = cow::is_writable(of.ref(), std::span(static_cast<const std::byte*>(p), n));
  });
  return error != 0 ? error : writable ? 1 : 0;
}

int cow_arena_retry_on_efault(cow_arena* arena, void* p, std::size_t n, std::int64_t (*call)(void*), void* context,
                              std::int64_t* result) noexcept {
  return guarded(__func__, [&] {
    const cow::Arena& of = use(arena);
    require(call != nullptr, "the function to call is NULL");
    require(result != nullptr, "the place for its result is NULL");
    require_inside(of, p, n);
    *result = cow::retry_on_efault(of, std::span(static_cast<std::byte*>(p), n), [&] { return call(context); });
  });
}

int cow_arena_discard(cow_arena* arena, void* p, std::size_t n) noexcept {
  return guarded(__func__, [&] { use(arena).discard(p, n); });
}

int cow_arena_exclude(cow_arena* arena, void* p, std::size_t n) noexcept {
  return guarded(__func__, [&] { use_to_cut(arena).exclude(p, n); });
}

int cow_arena_changed_since(const cow_arena* arena, const cow_snapshot* snapshot, cow_page_range** ranges,
                            std::size_t* count) noexcept {
  return listing(__func__, ranges, count, [&] { return use(arena).changed_since(use(snapshot)); });
}

int cow_arena_set_cut_hook(cow_arena* arena, const cow_cut_hook* hook) noexcept {
  return guarded(__func__, [&] {
    const cow::Arena& of = use(arena);
    require(hook != nullptr, "the hook is NULL");
    const cow_cut_hook known = read_options(hook, *hook);
    const auto made = std::make_shared<HookOfProgram>(known);
    if (of.ref().cut_hook([&made] { return made; }) != made) {
      throw Refused("the arena has a cut hook, or a heap, which has its own", EBUSY);
    }
  });
}

std::size_t cow_page_size() noexcept { return cow::page_size(); }
void cow_free(void* memory) noexcept { std::free(memory); }

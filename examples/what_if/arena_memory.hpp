// Hands out the arena's memory from its start to its end, for data that is built once and never given back.
// All its state lies in the arena and is independent of the address, so that a clone carries it along.
#pragma once

#include <cow/arena.hpp>
#include <cow/units.hpp>

#include <algorithm>
#include <boost/interprocess/offset_ptr.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>

namespace what_if {

/// A pointer that holds the distance to what it points to: good at whatever address its arena lies.
template <class T>
using Offset = boost::interprocess::offset_ptr<T>;

/// Text in the arena.
struct Text {
  Offset<const char> data;
  std::size_t size = 0;

  std::string_view view() const noexcept { return {data.get(), size}; }
};

/// A handle; copies of it, and handles on clones, see the same state. Not for use by two threads at once.
class ArenaMemory {
 public:
  /// Formats an arena that was never written.
  static ArenaMemory format(cow::Arena& arena) {
    ArenaMemory memory(arena);
    arena.prepare_write(arena.data(), sizeof(State));
    new (arena.data()) State;
    return memory;
  }

  /// Attaches to an arena that was formatted before, or to a clone of one.
  static ArenaMemory attach(cow::Arena& arena) {
    ArenaMemory memory(arena);
    if (memory.state().magic != State{}.magic) throw std::logic_error("what_if: the arena was not formatted");
    return memory;
  }

  /// Throws std::bad_alloc when the arena is full.
  void* allocate(std::size_t bytes, std::size_t alignment) {
    const std::size_t begin = (state().used + alignment - 1) / alignment * alignment;
    if (begin > arena_->capacity() || bytes > arena_->capacity() - begin) throw std::bad_alloc();
    prepare_up_to(begin + bytes);
    state().used = begin + bytes;
    return arena_->data() + begin;
  }

  /// Objects made here are never destroyed: their memory goes with the arena.
  template <class T, class... Arguments>
  T* create(Arguments&&... arguments) {
    return new (allocate(sizeof(T), alignof(T))) T(std::forward<Arguments>(arguments)...);
  }

  /// `count` value-initialised objects in a row.
  template <class T>
  T* create_array(std::size_t count) {
    if (count > arena_->capacity() / sizeof(T)) throw std::bad_alloc();
    T* const first = static_cast<T*>(allocate(count * sizeof(T), alignof(T)));
    std::uninitialized_value_construct_n(first, count);
    return first;
  }

  Text copy(std::string_view text) {
    if (text.empty()) return {};
    char* const data = static_cast<char*>(allocate(text.size(), 1));
    std::memcpy(data, text.data(), text.size());
    return {data, text.size()};
  }

  /// The object from which all else in the arena is found.
  template <class T>
  void set_root(T* root) noexcept { state().root = root; }
  template <class T>
  T* root() const noexcept { return static_cast<T*>(state().root.get()); }

  /// What was made writable in advance and not handed out becomes as it was: never written, shared with no clone.
  void give_back_rest() {
    const std::size_t page = cow::page_size();
    const std::size_t first = (state().used + page - 1) / page * page;
    const std::size_t end = (state().prepared + page - 1) / page * page;
    arena_->discard(arena_->data() + first, end - first);
    state().prepared = first;
  }

  /// Everything handed out so far, this class's own state included.
  std::span<const std::byte> used() const noexcept { return {arena_->data(), state().used}; }

 private:
  struct State {
    std::uint64_t magic = 0x6669'5f74'6168'7720;
    std::size_t used = sizeof(State);
    std::size_t prepared = sizeof(State);  ///< bytes from the start that prepare_write() made writable
    Offset<void> root;
  };
  static_assert(!std::is_polymorphic_v<State>, "a table of virtual functions is at an address of this process");

  explicit ArenaMemory(cow::Arena& arena) noexcept : arena_(&arena) {}

  State& state() const noexcept { return *reinterpret_cast<State*>(arena_->data()); }

  /// Bulk building: one call makes a whole stretch writable, where each page would cost a fault of its own.
  void prepare_up_to(std::size_t end) {
    constexpr std::size_t stretch = std::size_t{1} << 16;
    if (end <= state().prepared) return;
    const std::size_t begin = state().prepared;
    const std::size_t new_end = std::min(std::max(end, begin + stretch), arena_->capacity());
    arena_->prepare_write(arena_->data() + begin, new_end - begin);
    state().prepared = new_end;
  }

  cow::Arena* arena_;
};

}  // namespace what_if

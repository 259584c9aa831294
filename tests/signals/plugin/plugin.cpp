// A plugin with the library inside, as a program may load and unload it.
#include "cow/cow.hpp"

extern "C" int use_an_arena() {
  cow::Arena arena({.capacity = std::size_t{1} << 20});
  arena.data()[0] = std::byte{1};
  const cow::Snapshot snapshot = arena.snapshot();
  arena.data()[0] = std::byte{2};
  std::byte before{};
  snapshot.read(0, {&before, 1});
  return before == std::byte{1} && arena.data()[0] == std::byte{2} ? 0 : 1;
}

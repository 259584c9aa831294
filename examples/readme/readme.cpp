#include <cow/cow.hpp>

#include <cstdio>

int main() {
  cow::Arena arena({.capacity = std::size_t{1} << 30});          // address space; memory is used where written
  int* const numbers = reinterpret_cast<int*>(arena.data());     // ordinary memory, zero at first
  numbers[0] = 1;

  const cow::Snapshot before = arena.snapshot();                 // copies nothing
  numbers[0] = 2;                                                // copies one page

  cow::Arena clone = before.clone();                             // like fork(), in the same process
  int* const theirs = reinterpret_cast<int*>(clone.data());
  theirs[1] = 3;                                                 // nobody else sees this

  std::printf("arena %d %d, clone %d %d\n", numbers[0], numbers[1], theirs[0], theirs[1]);  // arena 2 0, clone 1 3
  arena.rollback(before);
  std::printf("arena %d %d again\n", numbers[0], numbers[1]);                               // arena 1 0 again
  return numbers[0] == 1 && theirs[1] == 3 ? 0 : 1;
}

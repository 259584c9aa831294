// A stranger's program: it links and the library does what it is for.
#include <cow/cow.hpp>

#include <cstdio>
#include <string>

int main() {
  cow::Arena arena({.capacity = std::size_t{1} << 20});
  auto* number = reinterpret_cast<int*>(arena.data());
  *number = 1;
  const cow::Snapshot snapshot = arena.snapshot();
  *number = 2;
  const cow::Arena clone = snapshot.clone();
  arena.rollback(snapshot);
  cow::start_fault_profile();
  const cow::Snapshot again = arena.snapshot();
  *number = 1;  // a fault
  cow::stop_fault_profile();
  const std::string told = to_text(cow::fault_profile());  // whatever it can say in this program
  const bool right = *number == 1 && *reinterpret_cast<const int*>(clone.data()) == 1;
  std::puts(right && !told.empty() ? "cow works here" : "cow is broken here");
  return right ? 0 : 1;
}

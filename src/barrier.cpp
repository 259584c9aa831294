// Layer 4: which barrier an arena gets.
#include "barrier.hpp"

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace cow {

const WriteBarrier& choose_barrier(Barrier asked) {
  if (asked == Barrier::userfaultfd) {
    throw std::system_error(ENOTSUP, std::generic_category(),
                            "cow: the userfaultfd barrier is not built; use Barrier::mprotect or Barrier::automatic");
  }
  if (asked != Barrier::mprotect && asked != Barrier::automatic) throw std::invalid_argument("cow: an unknown barrier");
  return mprotect_barrier;
}

}  // namespace cow

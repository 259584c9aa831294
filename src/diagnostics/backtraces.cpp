// Side room: switches the call stacks of bad accesses on and off. Never runs in the handler.
#include "backtrace_printer.hpp"
#include "cow/faults.hpp"
#include "fault_handler.hpp"
#include "fault_recorder.hpp"

namespace cow {

bool print_backtraces_of_bad_accesses(bool on) {
#if COW_WITH_LIBUNWIND
  if (on) fault_recorder::warm_up();
  set_bad_access_observer(on ? &backtrace_printer::print : nullptr);
  return true;
#else
  (void)on;
  return false;
#endif
}

}  // namespace cow

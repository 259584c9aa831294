// mprotect and SIGSEGV. Each scattered writable page splits the mapping it lies in.
#include "barrier/barrier.hpp"
#include "barrier/collecting.hpp"

namespace cow {
namespace {

os::Result<os::Descriptor> nothing_to_open() { return {}; }
os::Error nothing_to_attach(ArenaBooks&) { return {}; }
void nothing_to_leave(ArenaBooks&) {}
os::Error nothing_to_check(const ArenaBooks&) { return {}; }

os::Error unprotect(ArenaBooks& books, Pages run, bool) {
  return os::protect(books.address_of(run.first), books.bytes(run.count), os::Access::read_write);
}

os::Error protect(ArenaBooks& books, Pages run) {
  return os::protect(books.address_of(run.first), books.bytes(run.count), os::Access::read);
}

/// One call over everything between the first and the last writable page walks the mappings in between, but enters the
/// kernel once: 2.3 us a page where single calls take 3.5. It loses only where most of those mappings are read-only
/// already.
bool wide_calls_pay(const ArenaBooks& books) COW_FAULT_LOCKED {
  return books.mappings <= 8 + 4 * books.writable_edges;
}

os::Error protect_written(ArenaBooks& books, const PageSet& staying) COW_FAULT_LOCKED {
  const bool wide_calls = wide_calls_pay(books);
  Pages wide{};
  os::Error error;
  for_each_run_less(books.writable, staying, [&](Pages run) {
    const bool joins =
        wide.count != 0 && wide_calls && may_be_protected(books, staying, {wide.end(), run.first - wide.end()});
    if (joins) {
      wide.count = run.end() - wide.first;
      return;
    }
    if (wide.count != 0 && !error) error = protect(books, wide);
    wide = run;
  });
  if (wide.count != 0 && !error) error = protect(books, wide);
  return error;
}

os::Error show(ArenaBooks& books, Pages run, Frame frame) {
  return map_in_place(books, run, frame, os::Access::read_write);
}

os::Error show_protected(ArenaBooks& books, Pages run, Frame frame) {
  return map_in_place(books, run, frame, os::Access::read);
}

}  // namespace

const WriteBarrier mprotect_barrier{Barrier::mprotect, false, true, false, nullptr, nothing_to_open, map_read_only,
                                    nothing_to_attach, nothing_to_leave, nothing_to_check, nullptr, nullptr, unprotect,
                                    protect, protect_written, show, show_protected};

const WriteBarrier plain_until_mprotect{
    Barrier::mprotect, false, false, true, &mprotect_barrier, nothing_to_open, collecting::map_fresh,
    nothing_to_attach, nothing_to_leave, nothing_to_check, collecting::close_all, collecting::open_all,
    collecting::no_unprotecting, collecting::no_protecting, collecting::no_protecting_of_written,
    collecting::no_showing, collecting::no_showing};

}  // namespace cow

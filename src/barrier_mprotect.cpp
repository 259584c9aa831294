// Layer 4: mprotect and SIGSEGV. Each scattered writable page splits the mapping it lies in.
#include "barrier.hpp"

namespace cow {
namespace {

os::Error nothing_to_attach(ArenaBooks&) { return {}; }
void nothing_to_detach(ArenaBooks&) {}

os::Error unprotect(ArenaBooks& books, Pages run) {
  return os::protect(books.address_of(run.first), books.bytes(run.count), os::Access::read_write);
}

os::Error protect(ArenaBooks& books, Pages run) {
  return os::protect(books.address_of(run.first), books.bytes(run.count), os::Access::read);
}

os::Error protect_all(ArenaBooks& books) {
  // One call over everything between the first and the last writable page walks the mappings in between, but enters the
  // kernel and flushes the TLB once. It loses only where most of those mappings are read-only already.
  const Page first = books.writable.next({0});
  if (first == books.writable.end()) return {};
  std::uint64_t runs = 0;
  Page end = first;
  for (Pages run = books.writable.next_run(first); run.count != 0; run = books.writable.next_run(run.end())) {
    ++runs;
    end = run.end();
  }
  const bool wide = books.mappings <= 4 * runs + 8;
  if (wide) return protect(books, {first, end - first});
  for (Pages run = books.writable.next_run(first); run.count != 0; run = books.writable.next_run(run.end())) {
    if (const os::Error error = protect(books, run)) return error;
  }
  return {};
}

os::Error show(ArenaBooks& books, Pages run, Frame frame) {
  const FrameFile& file = books.family.file;
  return os::map_file(books.address_of(run.first), books.bytes(run.count), os::Access::read_write, file.fd(frame), file.offset(frame));
}

}  // namespace

const WriteBarrier mprotect_barrier{Barrier::mprotect, false, true, nothing_to_attach, nothing_to_detach,
                                    unprotect, protect, protect_all, show};

}  // namespace cow

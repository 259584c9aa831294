// The kernel's own copy-on-write (Linux 6.7). The arena is a private mapping of its frames, which an asynchronous
// userfaultfd watches: a store is let through by the kernel, which puts a front before the frame and notes it. No write
// is caught, no system call fails; the next cut asks what was written. See barrier/fronts.hpp.
#include "barrier/barrier.hpp"
#include "barrier/fronts.hpp"
#include "barrier/shared_descriptor.hpp"
#include "kernel/pagemap.hpp"

namespace cow {
namespace {

SharedDescriptor watcher, page_table;

os::Result<os::Descriptor> open() {
  return watcher.get([] {
    const os::Result<os::Descriptor> file = os::open_async_userfaultfd();
    if (file) (void)os::hold_open(file.value);  // closed all the same, the next scan says so
    return file;
  });
}

/// All that is shown without frames of others: shared, writable, and watched by nobody. What is written there the
/// memory file tells.
os::Error map_fresh(ArenaBooks& books) COW_FAULT_LOCKED {
  const FrameFile& file = books.family.file;
  const Frame home = books.home->frame_of({0});
  return os::map_file(books.base, books.bytes(books.pages), os::Access::read_write, file.fd(home), file.offset(home));
}

os::Error map(ArenaBooks& books) COW_FAULT_LOCKED {
  books.fronts.in_use.store(true, std::memory_order_release);
  if (const os::Error error = map_fresh(books)) return error;
  for (const Run& run : books.borrower.base) {
    if (const os::Error error = fronts::map_private(books, run)) return error;
  }
  return {};
}

// Nobody else uses the arena yet, or its barrier is being changed.
os::Error attach(ArenaBooks& books) COW_HELD_UNCHECKED {
  const os::Result<os::Descriptor> pagemap = page_table.get([] { return os::open_pagemap(); });
  books.fronts.pagemap = pagemap.value;
  return pagemap.error;
}

// The child has one thread.
void leave(ArenaBooks& books) COW_HELD_UNCHECKED {
  os::close_file(books.barrier_fd);
  os::close_file(books.fronts.pagemap);
}

os::Error check(const ArenaBooks& books) COW_FAULT_LOCKED {
  return os::still_ours(books.fronts.pagemap) && os::still_ours(books.barrier_fd) ? os::Error{} : os::Error{EBADF};
}

// Nothing is ever protected, nor moved from its place.
os::Error not_called(ArenaBooks&, Pages) { return {ENOTSUP}; }
os::Error no_unprotecting(ArenaBooks&, Pages, bool) { return {ENOTSUP}; }
os::Error no_protecting(ArenaBooks&, const PageSet&) { return {ENOTSUP}; }
os::Error no_showing(ArenaBooks&, Pages, Frame) { return {ENOTSUP}; }

}  // namespace

const WriteBarrier kernel_barrier{Barrier::kernel, true, false, true, open, map, attach, leave,
                                  check, no_unprotecting, not_called, no_protecting, no_showing, no_showing};

}  // namespace cow

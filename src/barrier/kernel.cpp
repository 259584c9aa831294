// The kernel's own copy-on-write (Linux 6.7). The arena is a private mapping of its frames, which an asynchronous
// userfaultfd watches: a store is let through by the kernel, which puts a front before the frame and notes it. No write
// is caught, no system call fails; the next cut asks what was written. See barrier/fronts.hpp.
#include "barrier/barrier.hpp"
#include "barrier/collecting.hpp"
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

os::Error map(ArenaBooks& books) COW_FAULT_LOCKED {
  if (const os::Error error = collecting::map_fresh(books)) return error;
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

}  // namespace

const WriteBarrier kernel_barrier{
    Barrier::kernel, true, false, true, nullptr, open, map, attach, leave, check, collecting::close_all,
    collecting::open_all, collecting::no_unprotecting, collecting::no_protecting,
    collecting::no_protecting_of_written, collecting::no_showing, collecting::no_showing};

}  // namespace cow

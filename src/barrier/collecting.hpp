// What barriers that catch no write have in common: a plain mapping of home, and that nothing is protected page by
// page.
#pragma once

#include "barrier/barrier.hpp"

namespace cow::collecting {

/// All of home: shared, writable, and watched by nobody. What is written there the memory file tells.
inline os::Error map_fresh(ArenaBooks& books) noexcept {
  const FrameFile& file = books.family.file;
  const Frame home = books.home->frame_of({0});
  books.fronts.in_use.store(true, std::memory_order_release);
  return os::map_file(books.base, books.bytes(books.pages), os::Access::read_write, file.fd(home), file.offset(home));
}

inline os::Error close_all(ArenaBooks& books) { return protect_all(books, os::Access::read); }
inline os::Error open_all(ArenaBooks& books) { return protect_all(books, os::Access::read_write); }

// Nothing is ever protected by itself, nor moved from its place.
inline os::Error no_unprotecting(ArenaBooks&, Pages, bool) { return {ENOTSUP}; }
inline os::Error no_protecting(ArenaBooks&, Pages) { return {ENOTSUP}; }
inline os::Error no_protecting_of_written(ArenaBooks&, const PageSet&) { return {ENOTSUP}; }
inline os::Error no_showing(ArenaBooks&, Pages, Frame) { return {ENOTSUP}; }

}  // namespace cow::collecting

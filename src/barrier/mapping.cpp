// Pages move by a new mapping in the place of the old, which loses what was asked of that: asked again here.
#include <algorithm>

#include "barrier/barrier.hpp"

namespace cow {

os::Error map_in_place(ArenaBooks& books, Pages run, Frame frame, os::Access access) noexcept {
  const FrameFile& file = books.family.file;
  void* const at = books.address_of(run.first);
  const std::size_t bytes = books.bytes(run.count);
  const os::Error error = os::map_file_over(at, bytes, access, file.fd(frame), file.offset(frame));
  if (!error && !books.in_core_dumps) os::hide_from_core_dumps(at, bytes);
  return error;
}

os::Error protect_mappings(ArenaBooks& books, Pages run, os::Access access) noexcept {
  const bool any = books.any_excluded.load(std::memory_order_relaxed);
  for (Page p = run.first; p < run.end();) {
    const Page end = any ? std::min(books.excluded.next(p), run.end()) : run.end();
    if (p < end) {
      if (const os::Error error = os::protect(books.address_of(p), books.bytes(end - p), access)) return error;
    }
    p = any ? books.excluded.next_absent(end) : end;
  }
  return {};
}

}  // namespace cow

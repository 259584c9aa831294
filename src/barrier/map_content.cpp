// What an arena or a view shows from its beginning. Not in the signal handler.
#include "barrier/barrier.hpp"
#include "barrier/saved_mapping.hpp"

namespace cow {

os::Error map_runs(const FrameFile& file, std::byte* base, const RunList& runs) noexcept {
  if (scattered_in_saved_files(file, runs)) return map_saved_with_copies(file, base, runs);
  const std::size_t page = file.page_bytes();
  for (const Run& run : runs) {
    const os::Error error =
        os::map_file(base + run.first.value * page, run.count * page, os::Access::read, file.fd(run.frame),
                     file.offset(run.frame));
    if (error) return error;
  }
  return {};
}

os::Error map_read_only(ArenaBooks& books) noexcept COW_FAULT_LOCKED {
  const FrameFile& file = books.family.file;
  const Frame home = books.home->frame_of({0});
  const std::size_t bytes = books.bytes(books.pages);
  const os::Error error = os::map_file(books.base, bytes, os::Access::read, file.fd(home), file.offset(home));
  return error ? error : map_runs(file, books.base, books.borrower.base);
}

}  // namespace cow

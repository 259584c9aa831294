// See fork/isolation.hpp.
#include "fork/isolation.hpp"

namespace cow {
namespace {

/// A run costs a mapping, and the gap behind it another. Runs shorter than the result are copied instead.
std::uint64_t length_that_fits(std::span<const Run> runs, std::uint64_t most_mappings) noexcept {
  for (std::uint64_t length = 1;; length *= 2) {
    std::uint64_t mappings = 1;
    for (const Run& run : runs) mappings += run.count >= length ? 2 : 0;
    if (mappings <= most_mappings || mappings == 1) return length;
  }
}

/// Zero memory for all but what is excluded. Gives the mappings used.
os::Result<std::uint64_t> map_zero_around(ArenaBooks& books, std::span<const Pages> excluded) noexcept {
  Page from{0};
  std::uint64_t mappings = 0;
  const auto map_up_to = [&](Page end) {
    if (from == end) return os::Error{};
    ++mappings;
    return os::map_private_zero(books.address_of(from), books.bytes(end - from));
  };
  for (const Pages& run : excluded) {
    if (const os::Error error = map_up_to(run.first)) return {0, error};
    from = run.end();
    ++mappings;
  }
  const os::Error error = map_up_to({books.pages});
  return {mappings, error};
}

}  // namespace

// In the child no lock covers the books: it has one thread.
os::Error isolate(ArenaBooks& books, std::span<const Run> runs, std::span<const Pages> excluded,
                  std::uint64_t most_mappings) noexcept COW_HELD_UNCHECKED {
  const FrameFile& file = books.family.file;
  const os::Result<std::uint64_t> zero = map_zero_around(books, excluded);
  if (!zero) return zero.error;
  const std::uint64_t length = length_that_fits(runs, most_mappings);
  std::uint64_t mappings = zero.value;
  for (const Run& run : runs) {
    const bool mapped = run.count >= length;
    std::byte* const at = books.address_of(run.first);
    const std::size_t bytes = books.bytes(run.count);
    const os::Descriptor& fd = file.fd(run.frame);
    const std::uint64_t offset = file.offset(run.frame);
    const os::Error error = mapped ? os::map_file_privately(at, bytes, fd, offset) : os::read_at(fd, at, bytes, offset);
    if (error) return error;
    mappings += mapped ? 2 : 0;
  }
  books.count_mappings(mappings);
  return {};
}

}  // namespace cow

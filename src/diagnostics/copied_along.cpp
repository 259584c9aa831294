// Compares before-images with what is live. Reads memory of the arena and of history, without the fault
// lock.
#include "cow/copied_along.hpp"

#include <cstring>

#include "arena/operation.hpp"
#include "books/versions.hpp"
#include "kernel/memory_sanitizer.hpp"

namespace cow {
namespace {

/// The operation mutex is held, so that the newest version keeps its before-images.
bool unchanged(ArenaBooks& books, const LogEntry& entry, BookBuffer& buffer) noexcept {
  FrameFile& file = books.family.file;
  const std::byte* before = buffer.data();
  if (History::owns(entry.frame)) {
    before = file.history().address(entry.frame);
  } else if (os::read_at(file.fd(entry.frame), buffer.data(), buffer.size(), file.offset(entry.frame))) {
    return false;
  }
  const memory_sanitizer::ChecksOff off;
  return std::memcmp(before, books.address_of(entry.page), books.bytes(1)) == 0;
}

}  // namespace

CopiesSinceSnapshot copies_since_snapshot(const Arena& arena) {
  ArenaBooks& books = usable(Access::books(arena), "copies_since_snapshot");
  CopiesSinceSnapshot found;
  const Operation operation(books);
  if (books.versions.empty()) return found;
  os::Result<BookBuffer> buffer = BookBuffer::reserve(books.bytes(1));
  throw_if(buffer.error, "memory for one page");
  const LogEnd end = log_end_now(books);
  books.versions.back().log.for_each_between({}, end.mark, [&](const LogEntry& entry) {
    if (entry.frame == zero_frame) return;  // nothing was copied
    ++found.pages;
    found.unchanged += unchanged(books, entry, buffer.value) ? 1 : 0;
  });
  return found;
}

}  // namespace cow

// cow::Snapshot: the handle, and reading without a mapping.
#include "cow/snapshot.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "arena/lifetime.hpp"
#include "arena/mapped_view.hpp"
#include "arena/operation.hpp"
#include "arena/version_reader.hpp"
#include "barrier/home_alias.hpp"
#include "books/versions.hpp"
#include "cow/arena.hpp"
#include "kernel/copy_page.hpp"
#include "kernel/fences.hpp"

namespace cow {
namespace {

constexpr std::size_t bounce_bytes = 4096;  // the smallest page there is

/// More at once is asked of the kernel: reading a page without memory would take some for it, and whoever reads much
/// may come by many that were opened beside others but never stored to.
constexpr std::size_t most_copied_live = 1024;

/// Part of a page as the arena itself shows it, where there still is one and its pages stay on their frames meanwhile.
/// Without a lock: what `blank` says is a hint.
bool copy_live(ArenaBooks& books, Page p, std::size_t offset, std::span<std::byte> out) noexcept COW_HELD_UNCHECKED {
  if (out.size() > most_copied_live || books.blank.contains(p)) return false;
  const LiveReader reader(books.live_readers);
  const std::uint64_t moves = books.moves.load(std::memory_order_acquire);
  if (!reader || moves % 2 != 0) return false;
  const std::byte* page = books.address_of(p);
  if (books.fronts.in_use.load(std::memory_order_acquire)) {  // the arena shows a front, perhaps
    if (!reached_by_alias(books, p)) return false;
    page = alias_of(books, p);
  }
  copy_bytes(out.data(), page + offset, out.size());
  fence(std::memory_order_acquire);
  return books.moves.load(std::memory_order_relaxed) == moves;
}

/// Part of a frame, without the kernel where the process has it mapped.
os::Error copy_part(ArenaBooks& books, const Source& source, Page p, std::size_t offset,
                    std::span<std::byte> out) noexcept {
  FrameFile& file = books.family.file;
  if (source.frame == zero_frame) return std::memset(out.data(), 0, out.size()), os::Error{};
  if (History::owns(source.frame)) {
    return copy_bytes(out.data(), file.history().address(source.frame) + offset, out.size()), os::Error{};
  }
  if (source.live && copy_live(books, p, offset, out)) return {};
  return os::read_at(file.fd(source.frame), out.data(), out.size(), file.offset(source.frame) + offset);
}

/// Part of a page into a buffer of ours. Whoever writes the page meanwhile logs it before the entry changes (release),
/// and changes the entry before the content: an entry that is still the same vouches for what was read.
os::Error read_part(Version& version, Page p, std::size_t offset, std::span<std::byte> out) noexcept {
  for (;;) {
    const os::Result<Source> source = find_source(version, p);
    if (!source) return source.error;
    if (const os::Error error = copy_part(version.books, source.value, p, offset, out)) return error;
    if (!source.value.live || version.books.table.still(p, source.value.entry)) return {};
  }
}

}  // namespace

Snapshot::Snapshot(const Snapshot& other) noexcept : version_(other.version_) {
  if (version_ != nullptr) version_->handles.fetch_add(1, std::memory_order_relaxed);
}

Snapshot::Snapshot(Snapshot&& other) noexcept : version_(std::exchange(other.version_, nullptr)) {}

Snapshot& Snapshot::operator=(Snapshot other) noexcept {
  swap(*this, other);
  return *this;
}

Snapshot::~Snapshot() { release_version(version_); }

std::size_t Snapshot::capacity() const noexcept {
  return version_ == nullptr ? 0 : version_->books.bytes(version_->books.pages);
}

std::size_t Snapshot::offset_of(const void* at) const {
  const ArenaBooks& books = usable(version_, "read").books;
  const auto address = reinterpret_cast<std::uintptr_t>(at), base = reinterpret_cast<std::uintptr_t>(books.base);
  if (address - base < capacity()) return address - base;  // below the base it wraps round
  throw std::invalid_argument(std::string("cow: reading a snapshot at an address outside its arena \"") + books.name +
                              "\" of " + in_bytes(capacity()));
}

Arena Snapshot::clone() const { return Access::arena(create_clone(usable(version_, "clone"))); }

View Snapshot::view() const { return Access::view(map_view(usable(version_, "view"))); }

void Snapshot::read(std::size_t offset, std::span<std::byte> out) const {
  Version& version = usable(version_, "read");
  if (offset > capacity() || out.size() > capacity() - offset) {
    throw std::invalid_argument("cow: reading " + in_bytes(out.size()) + " at " + std::to_string(offset) +
                                " of a snapshot of " + in_bytes(capacity()));
  }
  const std::size_t page = os::page_size();
  // `out` may lie in an arena, where the kernel answers EFAULT: the last step is a plain copy.
  std::byte bounce[bounce_bytes];
  while (!out.empty()) {
    const std::size_t in_page = offset % page;
    const std::size_t bytes = std::min({out.size(), page - in_page, bounce_bytes});
    if (const os::Error error = read_part(version, {offset / page}, in_page, {bounce, bytes})) {
      throw_if(error, "reading " + in_bytes(bytes) + " of a snapshot");
    }
    std::memcpy(out.data(), bounce, bytes);
    out = out.subspan(bytes);
    offset += bytes;
  }
}

}  // namespace cow

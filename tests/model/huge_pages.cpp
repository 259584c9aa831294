// Collapsing by MADV_COLLAPSE (Linux 6.1), which asks no setting of the machine.
#include "model/huge_pages.hpp"

#include <cstdint>

#include <sys/mman.h>

#include "arena/operation.hpp"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace cow::model {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;

/// Addresses of twice the length, so that an aligned part is among them.
struct Addresses {
  void* at = ::mmap(nullptr, 2 * huge_page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  Addresses() = default;
  Addresses(const Addresses&) = delete;
  Addresses& operator=(const Addresses&) = delete;
  ~Addresses() {
    if (at != MAP_FAILED) ::munmap(at, 2 * huge_page);
  }
  void* aligned() const {
    return reinterpret_cast<void*>((reinterpret_cast<std::uintptr_t>(at) + huge_page - 1) / huge_page * huge_page);
  }
};

}  // namespace

bool put_huge_page(const Arena& arena, std::size_t plane, bool history) {
  const ArenaBooks& books = *Access::books(arena);
  const FrameFile& file = books.family.file;
  const std::size_t number = plane % (books.planes.size() + 1);
  const Plane& chosen = number == 0 ? *books.home : *books.planes[number - 1];
  const Frame frame = history ? History::first_frame : chosen.base;
  const std::uint64_t offset = file.offset(frame) / huge_page * huge_page;
  const Addresses range;
  if (range.at == MAP_FAILED) return false;
  void* const at = ::mmap(range.aligned(), huge_page, PROT_READ, MAP_SHARED | MAP_FIXED, file.fd(frame).number,
                          static_cast<off_t>(offset));
  return at != MAP_FAILED && ::madvise(at, huge_page, MADV_COLLAPSE) == 0;
}

}  // namespace cow::model

// Reads /proc and mincore; copies and compares page by page.
#include "memory.hpp"

#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <new>
#include <sstream>
#include <string>

namespace cow::bench {

Buffer::Buffer(std::size_t bytes) : size_(bytes) {
  void* const mapped =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::byte*>(mapped);
}

Buffer::~Buffer() { ::munmap(data_, size_); }

namespace {

bool is_resident(const std::byte* page) {
  unsigned char resident = 0;
  return ::mincore(const_cast<std::byte*>(page), page_size(), &resident) == 0 && (resident & 1) != 0;
}

bool is_zero(const std::byte* page) {
  static const std::vector<std::byte> zeros(page_size());
  return std::memcmp(page, zeros.data(), page_size()) == 0;
}

}  // namespace

std::size_t resident_in(const std::byte* begin, std::size_t bytes) {
  std::vector<unsigned char> resident(bytes / page_size());
  if (::mincore(const_cast<std::byte*>(begin), bytes, resident.data()) != 0) return 0;
  std::size_t pages = 0;
  for (const unsigned char page : resident) pages += page & 1;
  return pages * page_size();
}

std::size_t private_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoul(line.substr(8)) * 1024;
  }
  return 0;
}

std::vector<MemoryRange> private_mappings() {
  std::vector<MemoryRange> found;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    std::string addresses, rights, offset, device, inode, name;
    fields >> addresses >> rights >> offset >> device >> inode >> name;
    if (rights != "rw-p" || name.starts_with("[stack") || (!name.empty() && name.front() == '/')) continue;
    const auto begin = std::stoul(addresses, nullptr, 16);
    const auto end = std::stoul(addresses.substr(addresses.find('-') + 1), nullptr, 16);
    found.emplace_back(reinterpret_cast<const std::byte*>(begin), end - begin);
  }
  return found;
}

MemoryCopy::MemoryCopy(std::vector<MemoryRange> ranges) {
  for (const MemoryRange& range : ranges) {
    Part part{range, std::make_unique<Buffer>(range.size())};
    for (std::size_t at = 0; at < range.size(); at += page_size()) {
      if (is_resident(range.data() + at)) std::memcpy(part.copy->data() + at, range.data() + at, page_size());
    }
    parts_.push_back(std::move(part));
  }
}

std::size_t MemoryCopy::pages_that_differ() const {
  std::size_t pages = 0;
  for (const Part& part : parts_) {
    for (std::size_t at = 0; at < part.original.size(); at += page_size()) {
      const std::byte* const now = part.original.data() + at;
      const std::byte* const before = part.copy->data() + at;
      if (!is_resident(now)) continue;
      pages += is_resident(before) ? std::memcmp(now, before, page_size()) != 0 : !is_zero(now);
    }
  }
  return pages;
}

std::size_t pages_that_differ(const Arena& arena, const Snapshot& since) {
  std::size_t pages = 0;
  std::vector<std::byte> before(page_size());
  for (const PageRange& range : arena.changed_since(since)) {
    for (std::size_t page = range.first; page < range.first + range.count; ++page) {
      since.read(page * page_size(), before);
      pages += std::memcmp(before.data(), arena.data() + page * page_size(), page_size()) != 0;
    }
  }
  return pages;
}

}  // namespace cow::bench

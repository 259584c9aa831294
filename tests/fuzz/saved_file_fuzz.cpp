// The reader of saved files under libFuzzer: whatever bytes it gets, it reads them or refuses them. Checksums are put
// right first, so that what lies behind them is reached.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "cow/save.hpp"
#include "files/content.hpp"
#include "files/format.hpp"

namespace {

using cow::files::checksum;

void put_sum(std::vector<std::byte>& file, std::size_t begin, std::size_t bytes, std::size_t at) {
  if (begin > file.size() || bytes > file.size() - begin || at > file.size() || file.size() - at < 8) return;
  const std::uint64_t sum = checksum(std::span(file).subspan(begin, bytes));
  std::memcpy(file.data() + at, &sum, sizeof sum);
}

std::uint64_t number_at(const std::vector<std::byte>& file, std::size_t at) {
  std::uint64_t number = 0;
  std::memcpy(&number, file.data() + at, sizeof number);
  return number;
}

void put_sums_right(std::vector<std::byte>& file) {
  if (file.size() < cow::files::head_bytes + cow::files::trailer_bytes) return;
  const std::size_t end = file.size() - cow::files::trailer_bytes;
  const std::uint64_t size = file.size(), index = number_at(file, end + 16), entries = number_at(file, end + 24);
  if (std::to_integer<int>(file[4000]) % 2 == 0) std::memcpy(file.data() + end + 8, &size, sizeof size);
  if (index < end && entries < file.size()) {
    put_sum(file, index, entries * 32, end + 32);
    put_sum(file, index + entries * 32, number_at(file, end + 40) * 8 % file.size(), end + 48);
  }
  put_sum(file, 0, 4088, 4088);
  put_sum(file, end, 120, end + 120);
}

/// A memory file, and its name.
class MemoryFile {
 public:
  explicit MemoryFile(const std::vector<std::byte>& bytes) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    if (::write(fd_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

template <class Call>
void try_to(Call&& call) {
  try {
    call();
  } catch (const std::exception& refused) {
    if (std::string(refused.what()).find("cow: ") != 0) throw;  // what is not told as ours is a finding
  }
}

/// A whole file, a layer, and a compressed one, to begin with.
void write_seeds(const std::filesystem::path& folder) {
  cow::Arena arena({.capacity = std::size_t{1} << 18});
  cow::SaveOptions options;
  options.sync = false;
  std::memset(arena.data() + 4096, 1, 5000);
  const cow::Snapshot first = arena.snapshot();
  cow::save(first, folder / "whole", options);
  std::memset(arena.data() + 4096, 0, 4096);
  std::memset(arena.data() + 40960, 2, 100);
  options.since = first;
  options.base = folder / "whole";
  cow::save(arena.snapshot(), folder / "layer", options);
  cow::SaveOptions packed;
  packed.sync = false;
  packed.compression = cow::Compression::zstd;
  try_to([&] { cow::save(first, folder / "packed", packed); });
}

}  // namespace

/// With COW_FUZZ_SEEDS naming a folder, it puts files there to begin with, and ends.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if (const char* const folder = std::getenv("COW_FUZZ_SEEDS")) {
    write_seeds(folder);
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* const bytes = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> file(bytes, bytes + size);
  if (size != 0 && (data[size - 1] & 1) == 0) put_sums_right(file);
  const MemoryFile memory(file);
  try_to([&] { (void)cow::inspect(memory.path()); });
  try_to([&] { cow::verify(memory.path()); });
  try_to([&] {
    cow::files::Content content = cow::files::Content::open(memory.path(), {});
    for (const std::uint64_t page : {4096U, 16384U, 65536U}) {
      for (const bool lazy : {true, false}) (void)cow::files::plan_load(content, page, {lazy, 100, lazy});
    }
    if (content.top().capacity > std::uint64_t{1} << 24 || content.bottom().is_layer()) return;
    cow::LoadOptions options;
    for (const bool lazy : {true, false}) {
      options.lazy = lazy;
      cow::Arena arena = cow::load(memory.path(), options);
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i < arena.capacity(); i += 512) sum += std::to_integer<std::uint64_t>(arena.data()[i]);
      arena.data()[0] = static_cast<std::byte>(sum);
    }
  });
  return 0;
}

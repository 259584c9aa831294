// What saved files need of the kernel: files with names, their directories, and descriptors of the program's own.
// Through the seam, as all else.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/os.hpp"

namespace cow::os {

/// An existing file, to read. Its number is 3 or above.
Result<Descriptor> open_to_read(const char* path) noexcept;
/// A file that must not exist yet, to write and to read back.
Result<Descriptor> create_to_write(const char* path) noexcept;
/// The same file as a descriptor of the program's, by a number of ours, where that can be had for reading only.
Result<Descriptor> open_again_to_read(int number) noexcept;
/// Another descriptor of the same file, to be closed by itself.
Result<Descriptor> duplicate(const Descriptor& file) noexcept;
Result<Descriptor> open_directory(const char* path) noexcept;

struct FileKind {
  bool regular = false;  // has a length, and can be read at any offset
  std::uint64_t bytes = 0;
};
Result<FileKind> kind_of(const Descriptor& file) noexcept;
Result<FileKind> kind_of(int number) noexcept;

/// All of it, at the file's position, which may wait for whoever reads at the other end. EPIPE and EFBIG come without
/// their signals.
Error write_on(int number, const void* from, std::size_t bytes) noexcept;
/// All of it; RLIMIT_FSIZE is EFBIG, without its signal.
Error write_to_disk(const Descriptor& file, const void* from, std::size_t bytes, std::uint64_t offset) noexcept;
/// As much as there is at the file's position, at most `bytes`; 0 at the end.
Result<std::size_t> read_some(int number, void* into, std::size_t bytes) noexcept;
/// As much as there is at an offset, at most `bytes`.
Result<std::size_t> read_up_to(const Descriptor& file, void* into, std::size_t bytes, std::uint64_t offset) noexcept;
/// Memory that a part of a file goes to.
struct Part {
  void* at;
  std::size_t bytes;
};
constexpr std::size_t most_parts = 1024;
/// Reads what lies in a file one behind the other into several parts, at most `most_parts`, which it uses up. EIO where
/// the file ends before.
Error read_parts(const Descriptor& file, Part* parts, std::size_t count, std::uint64_t offset) noexcept;
/// Whether whole pages of a mapping, at most `most_asked_about`, have memory, so that reading them takes none.
constexpr std::size_t most_asked_about = 64;
bool all_in_memory(const void* at, std::size_t pages) noexcept;

Error set_length(const Descriptor& file, std::uint64_t bytes) noexcept;
/// Content and length are on the disk.
Error sync_content(const Descriptor& file) noexcept;
/// The names in a directory are on the disk.
Error sync_names(const Descriptor& directory) noexcept;
Error rename_over(const char* from, const char* to) noexcept;
void remove_file(const char* path) noexcept;
Error random_bytes(void* into, std::size_t bytes) noexcept;

}  // namespace cow::os

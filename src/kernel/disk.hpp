// What saved files need of the kernel: files with names, their directories, and descriptors of the program's own.
// Through the seam, as all else.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/os.hpp"

namespace cow::os {

/// An existing file, to read; waits for nobody where it is a pipe or a device. Its number is 3 or above.
Result<Descriptor> open_to_read(const char* path) noexcept;
/// A file in a directory of ours that must not exist yet, to write and to read back. The umask takes from the
/// permissions.
Result<Descriptor> create_to_write(const Descriptor& directory, const char* name, unsigned permissions) noexcept;
/// The same file as a descriptor of the program's, by a number of ours, where that can be had for reading only.
Result<Descriptor> open_again_to_read(int number) noexcept;
/// Another descriptor of the same file, to be closed by itself.
Result<Descriptor> duplicate(const Descriptor& file) noexcept;
/// A directory, whose names can be used then, though it may not be listed.
Result<Descriptor> open_directory(const char* path) noexcept;
/// Relative to another one.
Result<Descriptor> open_directory(const Descriptor& from, const char* path) noexcept;
/// The same one, for sync_names().
Result<Descriptor> open_to_sync(const Descriptor& directory) noexcept;
/// What a symbolic link says, not ended by a zero; as much as there is room for. EINVAL: it is none.
Result<std::size_t> read_link(const Descriptor& directory, const char* name, char* into, std::size_t bytes) noexcept;

struct FileKind {
  enum class What {
    regular,
    directory,
    link,
    other
  };  // regular: has a length, and can be read at any offset
  What what = What::other;
  std::uint64_t bytes = 0;
  std::uint64_t device = 0, file = 0;
  unsigned permissions = 0, owner = 0, group = 0;

  bool is_regular() const noexcept { return what == What::regular; }
  bool same_file(const Descriptor& other) const noexcept { return device == other.device && file == other.file; }
};
Result<FileKind> kind_of(const Descriptor& file) noexcept;
Result<FileKind> kind_of(int number) noexcept;
/// Of a name in a directory; of a link itself.
Result<FileKind> kind_of(const Descriptor& directory, const char* name) noexcept;
/// Where anybody may add names, as in /tmp, a link is followed only if it is the process's own or the directory's
/// owner's: whoever put it there would choose what is replaced. The kernel has the same rule (fs.protected_symlinks).
bool link_can_be_trusted(const FileKind& link, const FileKind& directory) noexcept;

/// Whether a file's pages are memory, on a tmpfs or as a memory file.
bool is_in_memory(const Descriptor& file) noexcept;

/// All of it, at the file's position, which may wait for whoever reads at the other end. EPIPE and EFBIG come without
/// their signals.
Error write_on(int number, const void* from, std::size_t bytes) noexcept;
/// All of it; RLIMIT_FSIZE is EFBIG, without its signal.
Error write_to_disk(const Descriptor& file, const void* from, std::size_t bytes, std::uint64_t offset) noexcept;
/// As much as there is at the file's position, at most `bytes`; 0 at the end.
Result<std::size_t> read_some(int number, void* into, std::size_t bytes) noexcept;
/// As much as there is at an offset, at most `bytes`.
Result<std::size_t> read_up_to(const Descriptor& file, void* into, std::size_t bytes, std::uint64_t offset) noexcept;
/// The first byte from an offset on that lies in no hole, or the end of all where there is none; the offset itself
/// where nobody can tell. Moves the position that duplicates of the descriptor have too.
std::uint64_t next_content(const Descriptor& file, std::uint64_t offset) noexcept;
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
constexpr std::size_t most_asked_about = 256;
bool all_in_memory(const void* at, std::size_t pages) noexcept;

Error set_length(const Descriptor& file, std::uint64_t bytes) noexcept;
/// Content and length are on the disk.
Error sync_content(const Descriptor& file) noexcept;
/// The names in a directory are on the disk.
Error sync_names(const Descriptor& directory) noexcept;
/// Both in the directory, wherever that has gone meanwhile.
Error rename_over(const Descriptor& directory, const char* from, const char* to) noexcept;
/// False where it is still there, or the directory is no longer ours.
bool remove_file(const Descriptor& directory, const char* name) noexcept;
void remove_file(const char* path) noexcept;
/// As far as this process may; where the group stays another, it may do no more than everybody.
void set_owner_and_permissions(const Descriptor& file, const FileKind& of) noexcept;
Error random_bytes(void* into, std::size_t bytes) noexcept;

}  // namespace cow::os

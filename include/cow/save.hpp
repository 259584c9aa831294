// Snapshots as files: saved whole or as layers, loaded again, looked into, checked, and joined.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "cow/arena.hpp"
#include "cow/export.hpp"
#include "cow/snapshot.hpp"

namespace cow {

/// How page content is stored. What is compressed cannot be mapped: loading it reads it, also where `lazy` is asked
/// for.
enum class Compression {
  none,
  zstd
};

/// How far a save is, in bytes of the arena that it has to look at.
struct SaveProgress {
  std::uint64_t bytes_done, bytes_total;
};

struct SaveOptions {
  /// Write only what differs from this; it must have been saved, to `base`. Or it is what an arena showed that was
  /// loaded from `base`, before anything was written to it.
  Snapshot since = {};
  std::filesystem::path base = {};  ///< that saved file: the new one is a layer on it
  /// zstd where the library was built with it; else std::invalid_argument.
  Compression compression = Compression::none;
  int level = 1;  ///< of compression, as the zstd program counts
  bool sync =
      true;  ///< on the disk, with its name, when save() returns; false: it may be lost, whole, when power fails
  std::string note = {};  ///< what a person wants to read in `info`; at most 3,000 bytes
  /// Called by the saving thread, with no lock held, every MiB or so; false: stop. Then save() throws
  /// std::system_error with std::errc::operation_canceled, and nothing is left behind. What it throws passes through.
  std::function<bool(const SaveProgress&)> progress = {};
};

struct SaveReport {
  std::uint64_t pages;  ///< with content, in the file
  std::uint64_t bytes;  ///< written
  double seconds;
};

/// Writes a version to a file, from any thread, while writers go on. What was never written, and pages of zeros, take
/// no room. A reader of `path` sees the old file or the whole new one: it is written under another name beside it,
/// synced, and renamed. It goes where the path led when the call began, whatever becomes of the process's folder; a
/// link is followed, and stays (not another user's in a folder like /tmp); what it replaces keeps its permissions, and
/// its owner where this process may give files away (access lists and extended attributes are not kept), while other
/// hard links keep the old file. Cost: about 1.3 times a plain write(); of a layer, some microseconds for each page
/// that may differ. Writers of the arena are not held up, and their first writes cost what they do beside any snapshot.
///
/// Errors: std::system_error for what the kernel refuses (no space, quota, EFBIG of RLIMIT_FSIZE, EROFS): then the file
/// from before is as it was, and nothing is left beside it. std::invalid_argument where `since` and `base` do not
/// belong together. std::logic_error in a fork() child of the process that saves, where `progress` was what forked: the
/// file is its parent's, who goes on. Where only the last sync of the folder fails, the new file is there. A process
/// that is killed leaves a file `.NAME.*.cow-part` at worst, which may be deleted.
COW_API SaveReport save(const Snapshot& snapshot, const std::filesystem::path& path, const SaveOptions& options = {});

/// The same, and lets go of the version on the way, if nobody else has it: the before-images of pages that are written
/// already are given back, and pages that writers change meanwhile are written first. So memory stays bounded beside a
/// writer that is slower than the save. The handle is empty afterwards, also when this throws.
COW_API SaveReport save(Snapshot&& snapshot, const std::filesystem::path& path, const SaveOptions& options = {});

/// To a descriptor of the caller's, from its position on, which need not be able to seek: a pipe, a socket, a memfd.
/// Not synced. When this throws, what was written is no saved file: it lacks its end. std::invalid_argument for the
/// file that the arena or a relative is mapped from, or that the layer lies on: writing there would change both.
COW_API SaveReport save(const Snapshot& snapshot, int fd, const SaveOptions& options = {});

struct LoadOptions {
  std::vector<std::filesystem::path> layers = {};  ///< on top of the file, oldest first
  bool at_saved_address =
      false;                 ///< raw pointers hold; throws std::system_error EEXIST where something is mapped there
  void* address = nullptr;   ///< a given address, as in ArenaOptions
  std::size_t capacity = 0;  ///< 0: as saved, which a heap in it wants; more is fine for all else, less than its
                             ///< content throws std::invalid_argument
  /// Map the file's pages and read them when they are touched; false: read all now, and refuse what verify() refuses in
  /// any of the files. A file that is mapped must not be changed or cut short meanwhile (a read beyond its end is a
  /// SIGBUS); replaced by a rename, or deleted, it may be.
  bool lazy = true;
  Barrier barrier = Barrier::mprotect;
  std::string name = {};  ///< "": as saved
  /// A promise that no other thread writes while a snapshot or a clone of the loaded arena is taken; and the gate that
  /// keeps it. As in ArenaOptions.
  bool quiet_cuts = false;
  UpdateGate* gate = nullptr;
};

/// An arena with the saved content: a full one, with snapshots, clones, rollback, a heap, any barrier. Lazily it costs
/// a fraction of a millisecond at any size, and some microseconds for each scattered page of a layer; memory is used
/// for what is touched, and at once for runs of fewer than 16 pages of a layer where there are many (also in each
/// clone): private memory of the process, which account_memory() does not tell.
///
/// Errors: std::runtime_error for a file that is no saved file, is damaged or cut short, of a newer format, or the
/// wrong one of several, and for a folder, a pipe, a device or a socket, telling what and where. Lazily, the index is
/// checked, and the content is not: see verify(). A checksum finds accidents, not attackers. std::invalid_argument and
/// std::system_error as Arena's constructor.
COW_API Arena load(const std::filesystem::path& path, const LoadOptions& options = {});

/// From a descriptor, which stays the caller's. One that can be read at any offset (a file, a memfd) is read from its
/// start and mapped; anything else is read from its position to its end, into memory.
COW_API Arena load(int fd, const LoadOptions& options = {});

/// What a saved file says of itself.
struct SavedFile {
  std::uint64_t capacity;    ///< bytes, of the arena
  std::uint64_t pages;       ///< with content in this file
  std::uint64_t file_bytes;  ///< its length; holes in it take no room
  std::uintptr_t address;    ///< where the arena was
  std::size_t page_bytes;    ///< of the machine that saved it
  std::string name, note;
  std::array<std::byte, 16> id, base_id;  ///< base_id: of the file that a layer lies on; else zeros
  std::uint64_t heap_version;             ///< of the cow::Heap in it; 0: none
  bool is_compressed;
  bool is_layer() const { return base_id != std::array<std::byte, 16>{}; }
};

/// Reads and checks a file's head, end and index. Errors as load().
COW_API SavedFile inspect(const std::filesystem::path& path);

/// Reads all of a file, one layer of several; throws std::runtime_error at the first fault, which it names.
COW_API void verify(const std::filesystem::path& path);

/// One file in place of several: a whole one and the layers on it, or some layers in a row, oldest first. The result
/// bears the id of the newest, so that layers on that fit on it. Everything read is checked. `into` may be one of them.
/// Options: not since and base. Errors as load() and save().
COW_API void squash(const std::vector<std::filesystem::path>& file_and_layers, const std::filesystem::path& into,
                    const SaveOptions& options = {});

}  // namespace cow

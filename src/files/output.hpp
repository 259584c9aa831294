// Where a saved file is written to: another name beside the path until it is whole, or a descriptor of the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "files/destination.hpp"
#include "files/owned_file.hpp"

namespace cow::files {

class Output {
 public:
  virtual ~Output() = default;
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  /// Whether any offset can be written to, in any order, and what is not written to reads as zero.
  virtual bool can_seek() const noexcept = 0;
  /// Whether it is that file which goes when this is committed, or is written over.
  virtual bool replaces(const os::Descriptor& file) const noexcept = 0;
  /// The file that is changed where it is, under the eyes of whoever has it mapped; none where that cannot be.
  virtual const std::optional<os::FileKind>& changes() const noexcept = 0;
  /// Where it cannot seek, offsets ascend; what lies between is filled with zeros.
  void write(std::uint64_t offset, std::span<const std::byte> bytes);
  /// The last part, that makes the file count: written, and the file put in its place, when all else is safe.
  void commit(std::uint64_t offset, std::span<const std::byte> last);
  /// Throws std::logic_error in a fork() child: the file is its parent's, who goes on writing to it.
  void check_process() const;

  std::uint64_t bytes_written() const noexcept { return written_; }
  const std::string& doing() const noexcept { return doing_; }

 protected:
  explicit Output(std::string doing);
  bool of_this_process() const noexcept { return process_ == os::process_generation(); }
  virtual void do_write(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual void do_commit(std::uint64_t offset, std::span<const std::byte> last) = 0;
  std::uint64_t written_ = 0;

 private:
  std::string doing_;
  std::uint64_t process_;
};

/// Goes without a trace unless commit() is called and succeeds; where only the last sync fails, the new file is there.
class PathOutput : public Output {
 public:
  PathOutput(const std::filesystem::path& path, bool sync);
  ~PathOutput() override;

  bool can_seek() const noexcept override { return true; }
  bool replaces(const os::Descriptor& file) const noexcept override { return to_.has(file); }
  const std::optional<os::FileKind>& changes() const noexcept override { return nothing_; }

 private:
  void do_write(std::uint64_t offset, std::span<const std::byte> bytes) override;
  void do_commit(std::uint64_t offset, std::span<const std::byte> last) override;
  void write_waiting();

  const std::optional<os::FileKind> nothing_;

  const Destination to_;
  const bool sync_;
  std::string part_;                    // the name until it is whole
  std::filesystem::path part_by_path_;  // should the program close the directory
  OwnedFile to_sync_, file_;
  std::vector<std::byte> waiting_;  // short pieces, one behind the other: a layer's pages are scattered
  std::uint64_t waiting_at_ = 0;
};

class DescriptorOutput : public Output {
 public:
  explicit DescriptorOutput(int fd);

  bool can_seek() const noexcept override { return false; }
  bool replaces(const os::Descriptor& file) const noexcept override { return is_ && is_->same_file(file); }
  const std::optional<os::FileKind>& changes() const noexcept override { return is_; }

 private:
  void do_write(std::uint64_t offset, std::span<const std::byte> bytes) override;
  void do_commit(std::uint64_t offset, std::span<const std::byte> last) override { do_write(offset, last); }

  int fd_;
  std::optional<os::FileKind> is_;  // none: a pipe or the like
};

}  // namespace cow::files

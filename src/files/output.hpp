// Where a saved file is written to: another name beside the path until it is whole, or a descriptor of the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "files/owned_file.hpp"

namespace cow::files {

class Output {
 public:
  virtual ~Output() = default;
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  /// Whether any offset can be written to, in any order, and what is not written to reads as zero.
  virtual bool can_seek() const noexcept = 0;
  /// Where it cannot seek, offsets ascend; what lies between is filled with zeros.
  virtual void write(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  /// The last part, that makes the file count: written, and the file put in its place, when all else is safe.
  virtual void commit(std::uint64_t offset, std::span<const std::byte> last) = 0;

  std::uint64_t bytes_written() const noexcept { return written_; }
  const std::string& doing() const noexcept { return doing_; }

 protected:
  explicit Output(std::string doing) : doing_(std::move(doing)) {}
  std::uint64_t written_ = 0;

 private:
  std::string doing_;
};

/// Goes without a trace unless commit() is called and succeeds; where only the last sync fails, the new file is there.
class PathOutput : public Output {
 public:
  PathOutput(const std::filesystem::path& path, bool sync);
  ~PathOutput() override;

  bool can_seek() const noexcept override { return true; }
  void write(std::uint64_t offset, std::span<const std::byte> bytes) override;
  void commit(std::uint64_t offset, std::span<const std::byte> last) override;

 private:
  void write_waiting();

  std::filesystem::path path_, part_;
  bool sync_;
  OwnedFile directory_, file_;
  std::vector<std::byte> waiting_;  // short pieces, one behind the other: a layer's pages are scattered
  std::uint64_t waiting_at_ = 0;
};

class DescriptorOutput : public Output {
 public:
  explicit DescriptorOutput(int fd);

  bool can_seek() const noexcept override { return false; }
  void write(std::uint64_t offset, std::span<const std::byte> bytes) override;
  void commit(std::uint64_t offset, std::span<const std::byte> last) override { write(offset, last); }

 private:
  int fd_;
};

}  // namespace cow::files

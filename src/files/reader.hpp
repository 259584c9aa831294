// One saved file, read: its parts, checked as they are read, and its content. Says what is wrong, and in which file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "files/format.hpp"
#include "files/owned_file.hpp"

namespace cow::files {

/// Throws std::runtime_error for what is wrong with the file, std::system_error for what the kernel refuses. Checks
/// head, end and index when made.
class Reader {
 public:
  static Reader open(const std::filesystem::path& path);
  /// What can be read at any offset is, from its start; anything else is taken into memory first, to its end.
  static Reader of(int fd);

  const std::string& name() const noexcept { return name_; }
  const Head& head() const noexcept { return head_; }
  const Trailer& trailer() const noexcept { return trailer_; }
  const std::vector<Entry>& entries() const noexcept { return entries_; }
  const os::Descriptor& file() const noexcept { return file_.get(); }

  /// Part of an entry's content, from a byte of it on, each checksum concerned checked.
  void read(std::size_t entry, std::uint64_t from, std::span<std::byte> into);

  using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;
  /// Reads part of an entry's content.
  void check(std::size_t entry, std::uint64_t from, std::uint64_t end, const Progress& progress = {});
  /// That no content lies in two entries, and nothing between them.
  void check_gaps() const;
  /// Reads all there is in the file, and throws at the first fault. Told now and then how far it is, in bytes.
  void check_all(const Progress& progress = {});

  /// For what a caller finds wrong: as a std::runtime_error that names the file.
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  Reader(OwnedFile file, std::string name);
  void read_parts();
  void read_at(std::uint64_t offset, std::span<std::byte> into) const;
  template <class Use>
  void read_in_pieces(std::uint64_t offset, std::uint64_t bytes, Use&& use) const;
  void check_index_sum() const;
  void need_sums();
  void read_plain(std::size_t entry, std::uint64_t from, std::span<std::byte> into);
  const std::vector<std::byte>& unpacked(std::size_t entry);
  template <class Check>
  void check_in_order(Check&& content) const;
  void check_gap(std::uint64_t begin, std::uint64_t end) const;
  void check_sum(std::uint64_t index, std::span<const std::byte> bytes, const Entry& entry, std::uint64_t page) const;

  OwnedFile file_;
  std::string name_;
  Head head_;
  Trailer trailer_;
  std::vector<Entry> entries_;
  std::vector<std::uint64_t> sums_, first_sum_;  // read when they are wanted first
  std::vector<std::byte> unpacked_;              // the compressed entry read last
  std::size_t unpacked_entry_ = ~std::size_t{0};
};

}  // namespace cow::files

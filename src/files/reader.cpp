// Reading one saved file. See files/reader.hpp.
#include "files/reader.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "files/compression.hpp"
#include "files/error.hpp"
#include "kernel/disk.hpp"

namespace cow::files {
namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 18;
constexpr const char* not_regular =
    "it is a pipe, a device or a socket, which can be read only once; save it to a file, or load it by its open "
    "descriptor";

std::string quoted(const std::string& name) { return "\"" + name + "\""; }

[[noreturn]] void refuse_file(const std::string& name, const std::string& what) {
  throw std::runtime_error("cow: " + name + ": " + what);
}

void check_head(const os::Descriptor& file, const std::string& name) {
  std::array<std::byte, head_bytes> head;
  (void)value_or_fail(os::read_up_to(file, head.data(), head.size(), 0), "reading " + name);
  try {
    (void)decode_head(head);
  } catch (const Damaged& damaged) {
    refuse_file(name, damaged.what());
  }
}

constexpr const char* is_folder = "it is a folder; name the saved file in it";

/// What cannot be read twice, as a memory file. Not even taken where its beginning shows that it is no saved file.
OwnedFile taken_into_memory(int fd, const std::string& name) {
  const std::string doing = "reading " + name + " into memory";
  OwnedFile file(value_or_fail(os::create_empty_memory_file("cow-loaded"), doing));
  std::vector<std::byte> piece(piece_bytes);
  for (std::uint64_t at = 0;;) {
    const std::size_t bytes = value_or_fail(os::read_some(fd, piece.data(), piece.size()), doing);
    if (bytes == 0) return file;
    fail_if(os::write_to_disk(file.get(), piece.data(), bytes, at), doing);
    if (at < head_bytes && at + bytes >= head_bytes) check_head(file.get(), name);
    at += bytes;
  }
}

}  // namespace

Reader Reader::open(const std::filesystem::path& path) {
  const std::string name = quoted(path.string());
  const auto file = os::open_to_read(path.c_str());
  if (file.error.code == ENXIO) refuse_file(name, not_regular);  // a socket
  return {OwnedFile(value_or_fail(file, "opening " + name)), name};
}

Reader Reader::of(int fd) {
  const std::string name = "descriptor " + std::to_string(fd);
  const os::FileKind kind = value_or_fail(os::kind_of(fd), "reading " + name);
  if (kind.what == os::FileKind::What::directory) refuse_file(name, is_folder);
  if (!kind.is_regular()) return {taken_into_memory(fd, name), name};
  return {OwnedFile(value_or_fail(os::open_again_to_read(fd), "reading " + name)), name};
}

Reader::Reader(OwnedFile file, std::string name) : file_(std::move(file)), name_(std::move(name)) {
  try {
    read_parts();
  } catch (const Damaged& damaged) {
    refuse(damaged.what());
  }
}

void Reader::refuse(const std::string& what) const { refuse_file(name_, what); }

void Reader::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  const std::size_t got =
      value_or_fail(os::read_up_to(file_.get(), into.data(), into.size(), offset), "reading " + name_);
  if (got != into.size()) refuse("it ends at byte " + std::to_string(offset + got) + ", in the middle of its content");
}

void Reader::read_parts() {
  const os::FileKind kind = value_or_fail(os::kind_of(file_.get()), "reading " + name_);
  if (kind.what == os::FileKind::What::directory) refuse(is_folder);
  if (!kind.is_regular()) refuse(not_regular);
  if (kind.bytes < head_bytes + trailer_bytes) {
    std::array<std::byte, head_bytes> begin{};
    const std::size_t got = std::min<std::uint64_t>(kind.bytes, begin.size());
    read_at(0, std::span(begin).first(got));
    throw Damaged("it has " + std::to_string(kind.bytes) +
                  " bytes, fewer than any saved file; it was cut short, or is none");
  }
  std::array<std::byte, head_bytes> head;
  read_at(0, head);
  head_ = decode_head(head);
  std::array<std::byte, trailer_bytes> trailer;
  read_at(kind.bytes - trailer_bytes, trailer);
  trailer_ = decode_trailer(trailer, head_, kind.bytes);
  try {
    EntryDecoder entries(head_, trailer_);
    read_in_pieces(trailer_.index_offset, trailer_.entries * entry_bytes,
                   [&](std::span<const std::byte> some) { entries.add(some); });
    entries_ = entries.finish();
  } catch (const Damaged&) {
    check_index_sum();  // which tells more, where it does not match
    throw;
  }
}

/// Of an index that is wrong.
void Reader::check_index_sum() const {
  constexpr std::uint64_t worth_reading = std::uint64_t{64} << 20;
  const std::uint64_t bytes = trailer_.entries * entry_bytes;
  if (bytes > worth_reading) return;
  Checksum sum;
  read_in_pieces(trailer_.index_offset, bytes, [&](std::span<const std::byte> some) { sum.add(some); });
  if (sum.value() == trailer_.index_sum) return;
  refuse("its index, at byte " + std::to_string(trailer_.index_offset) + ", does not match its checksum");
}

template <class Use>
void Reader::read_in_pieces(std::uint64_t offset, std::uint64_t bytes, Use&& use) const {
  std::vector<std::byte> piece(std::min<std::uint64_t>(bytes, piece_bytes));
  for (std::uint64_t done = 0; done < bytes; done += piece.size()) {
    piece.resize(std::min<std::uint64_t>(piece_bytes, bytes - done));
    read_at(offset + done, piece);
    use(std::span<const std::byte>(piece));
  }
}

void Reader::need_sums() {
  if (!first_sum_.empty() || entries_.empty()) return;
  try {
    SumDecoder sums(trailer_);
    read_in_pieces(trailer_.sums_offset(), trailer_.sums * sum_bytes,
                   [&](std::span<const std::byte> some) { sums.add(some); });
    sums_ = sums.finish();
  } catch (const Damaged& damaged) {
    refuse(damaged.what());
  }
  first_sum_.reserve(entries_.size());
  std::uint64_t sum = 0;
  for (const Entry& entry : entries_) {
    first_sum_.push_back(sum);
    sum += sums_of(entry, head_);
  }
}

void Reader::check_sum(std::uint64_t index, std::span<const std::byte> bytes, const Entry& entry,
                       std::uint64_t page) const {
  if (checksum(bytes) == sums_[index]) return;
  refuse("page " + std::to_string(page) + " of the arena, at byte " +
         std::to_string(entry.offset +
                        (entry.bytes == entry.pages * head_.page_bytes ? (page - entry.first) * head_.page_bytes : 0)) +
         ", does not match its checksum");
}

void Reader::read(std::size_t entry, std::uint64_t from, std::span<std::byte> into) {
  need_sums();
  const Entry& of = entries_[entry];
  if (of.bytes == 0) {
    std::fill(into.begin(), into.end(), std::byte{0});
  } else if (of.bytes == of.pages * head_.page_bytes) {
    read_plain(entry, from, into);
  } else {
    const std::vector<std::byte>& content = unpacked(entry);
    std::memcpy(into.data(), content.data() + from, into.size());
  }
}

void Reader::read_plain(std::size_t entry, std::uint64_t from, std::span<std::byte> into) {
  const Entry& of = entries_[entry];
  const std::uint64_t page = head_.page_bytes;
  std::vector<std::byte> whole;  // of a page that only a part is wanted of
  while (!into.empty()) {
    const std::uint64_t first = from / page, in_page = from % page;
    if (in_page == 0 && into.size() >= page) {
      const std::uint64_t pages =
          std::min<std::uint64_t>(into.size() / page, std::max<std::uint64_t>(1, piece_bytes / page));
      const auto piece = into.first(pages * page);
      read_at(of.offset + first * page, piece);
      for (std::uint64_t i = 0; i < pages; ++i) {
        check_sum(first_sum_[entry] + first + i, piece.subspan(i * page, page), of, of.first + first + i);
      }
      from += piece.size();
      into = into.subspan(piece.size());
      continue;
    }
    whole.resize(page);
    read_at(of.offset + first * page, whole);
    check_sum(first_sum_[entry] + first, whole, of, of.first + first);
    const std::size_t some = std::min<std::uint64_t>(into.size(), page - in_page);
    std::memcpy(into.data(), whole.data() + in_page, some);
    from += some;
    into = into.subspan(some);
  }
}

const std::vector<std::byte>& Reader::unpacked(std::size_t entry) {
  if (unpacked_entry_ == entry) return unpacked_;
  const Entry& of = entries_[entry];
  std::vector<std::byte> packed(of.bytes);
  read_at(of.offset, packed);
  check_sum(first_sum_[entry], packed, of, of.first);
  unpacked_entry_ = ~std::size_t{0};
  unpacked_.resize(of.pages * head_.page_bytes);
  bool whole = false;
  try {
    whole = decompress(packed, unpacked_);
  } catch (const std::runtime_error& without) {
    refuse(without.what());
  }
  if (!whole)
    refuse("page " + std::to_string(of.first) + " of the arena, at byte " + std::to_string(of.offset) +
           ", cannot be decompressed");
  unpacked_entry_ = entry;
  return unpacked_;
}

void Reader::check_gap(std::uint64_t begin, std::uint64_t end) const {
  std::vector<std::byte> piece(std::min<std::uint64_t>(end - begin, piece_bytes));
  while (begin < end) {
    if (end - begin >= piece_bytes) {  // which may be a hole of any length
      begin = os::next_content(file_.get(), begin);
      if (begin >= end) return;
    }
    const auto some = std::span(piece).first(std::min<std::uint64_t>(end - begin, piece.size()));
    read_at(begin, some);
    const auto stray = std::find_if(some.begin(), some.end(), [](std::byte b) { return b != std::byte{0}; });
    if (stray != some.end()) {
      refuse("byte " + std::to_string(begin + static_cast<std::uint64_t>(stray - some.begin())) +
             ", between its content, should be zero");
    }
    begin += some.size();
  }
}

template <class Check>
void Reader::check_in_order(Check&& content) const {
  std::vector<std::size_t> order(entries_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [this](std::size_t a, std::size_t b) { return entries_[a].offset < entries_[b].offset; });
  std::uint64_t covered = head_bytes;
  for (const std::size_t i : order) {
    const Entry& entry = entries_[i];
    if (entry.bytes == 0) continue;
    if (entry.offset < covered)
      refuse("two of its pages have the same content at byte " + std::to_string(entry.offset));
    check_gap(covered, entry.offset);
    content(i);
    covered = entry.offset + entry.bytes;
  }
  check_gap(covered, trailer_.index_offset);
}

void Reader::check_gaps() const {
  check_in_order([](std::size_t) {});
}

void Reader::check(std::size_t entry, std::uint64_t from, std::uint64_t end, const Progress& progress) {
  std::vector<std::byte> piece;
  for (std::uint64_t done = from; done < end; done += piece.size()) {
    piece.resize(std::min<std::uint64_t>(piece_bytes, end - done));
    read(entry, done, piece);
    if (progress) progress(entries_[entry].offset + std::min(done, entries_[entry].bytes), trailer_.file_bytes);
  }
}

void Reader::check_all(const Progress& progress) {
  need_sums();
  check_in_order([&](std::size_t i) { check(i, 0, entries_[i].pages * head_.page_bytes, progress); });
}

}  // namespace cow::files

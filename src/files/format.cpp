// Bytes to numbers and back, and what must hold of them. See files/format.hpp.
#include "files/format.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "words/amounts.hpp"

namespace cow::files {
namespace {

constexpr char head_magic[8] = {'\x89', 'c', 'o', 'w', '\r', '\n', '\x1a', '\n'};
constexpr char trailer_magic[8] = {'c', 'o', 'w', '-', 'e', 'n', 'd', '\n'};
constexpr std::size_t text_at = 120;
constexpr std::uint64_t most_capacity = std::uint64_t{1} << 62;

/// Little-endian numbers at offsets, whatever the machine has.
class Fields {
 public:
  explicit Fields(std::byte* at) noexcept : at_(at) {}
  void put(std::size_t offset, std::uint64_t value, std::size_t bytes = 8) const noexcept {
    for (std::size_t i = 0; i < bytes; ++i) at_[offset + i] = static_cast<std::byte>(value >> (8 * i));
  }
  void put(std::size_t offset, const Id& id) const noexcept { std::memcpy(at_ + offset, id.data(), id.size()); }

 private:
  std::byte* at_;
};

class ConstFields {
 public:
  explicit ConstFields(const std::byte* at) noexcept : at_(at) {}
  std::uint64_t number(std::size_t offset, std::size_t bytes = 8) const noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value |= std::to_integer<std::uint64_t>(at_[offset + i]) << (8 * i);
    return value;
  }
  std::uint32_t word(std::size_t offset) const noexcept { return static_cast<std::uint32_t>(number(offset, 4)); }
  Id id(std::size_t offset) const noexcept {
    Id id;
    std::memcpy(id.data(), at_ + offset, id.size());
    return id;
  }

 private:
  const std::byte* at_;
};

void check_that(bool holds, const std::string& what) {
  if (!holds) throw Damaged(what);
}

std::string at_byte(std::uint64_t offset) { return " at byte " + std::to_string(offset); }

void check_entry(const Entry& entry, const Entry* before, const Head& head, const Trailer& trailer, std::uint64_t at) {
  const auto check = [&](bool holds, const char* what) {
    if (!holds) {
      throw Damaged("entry " + std::to_string(at) + " of its index, for page " + std::to_string(entry.first) + ", " +
                    what);
    }
  };
  const std::uint64_t pages = head.capacity / head.page_bytes;
  check(entry.pages != 0 && entry.first < pages && entry.pages <= pages - entry.first, "goes beyond the arena");
  check(before == nullptr || before->end() <= entry.first, "comes before the one in front of it");
  if (entry.bytes == 0) {
    check(head.is_layer() && entry.offset == 0, "has no content");
    return;
  }
  check(entry.offset >= head_bytes && entry.offset <= trailer.index_offset &&
            entry.bytes <= trailer.index_offset - entry.offset,
        "has content outside of the file's");
  if (entry.bytes == entry.pages * head.page_bytes) {
    check(entry.offset % head.page_bytes == 0, "has content that is not aligned");
    return;
  }
  check((head.flags & flag_zstd) != 0 && entry.pages <= most_chunk_bytes / head.page_bytes &&
            entry.bytes < entry.pages * head.page_bytes,
        "has content of an impossible length");
}

}  // namespace

std::uint64_t checksum(std::span<const std::byte> bytes) noexcept { return XXH3_64bits(bytes.data(), bytes.size()); }

struct Checksum::State {
  XXH3_state_t hash;
};
Checksum::Checksum() : state_(std::make_unique<State>()) { (void)XXH3_64bits_reset(&state_->hash); }
Checksum::~Checksum() = default;
void Checksum::add(std::span<const std::byte> some) noexcept {
  (void)XXH3_64bits_update(&state_->hash, some.data(), some.size());
}
std::uint64_t Checksum::value() const noexcept { return XXH3_64bits_digest(&state_->hash); }

Id fingerprint(std::span<const std::byte> bytes) noexcept {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  Id id;
  const Fields fields(id.data());
  fields.put(0, hash.low64);
  fields.put(8, hash.high64);
  return id;
}

std::array<std::byte, head_bytes> encode(const Head& head) {
  std::array<std::byte, head_bytes> bytes{};
  const Fields fields(bytes.data());
  std::memcpy(bytes.data(), head_magic, sizeof head_magic);
  fields.put(8, format_version, 4);
  fields.put(12, head.flags, 4);
  fields.put(16, head.page_bytes);
  fields.put(24, head.capacity);
  fields.put(32, head.address);
  fields.put(40, head.id);
  fields.put(56, head.base_id);
  fields.put(72, head.content);
  fields.put(88, head.heap_version);
  fields.put(96, head.heap_root);
  fields.put(104, head.heap_root_type);
  fields.put(112, head.name.size(), 4);
  fields.put(116, head.note.size(), 4);
  if (head.name.size() + head.note.size() > head_bytes - sum_bytes - text_at) {
    throw std::invalid_argument("cow: a saved file's name of " + std::to_string(head.name.size()) +
                                " bytes and note of " + std::to_string(head.note.size()) +
                                " have no room together; shorten the note");
  }
  std::memcpy(bytes.data() + text_at, head.name.data(), head.name.size());
  std::memcpy(bytes.data() + text_at + head.name.size(), head.note.data(), head.note.size());
  fields.put(head_bytes - sum_bytes, checksum(std::span(bytes).first(head_bytes - sum_bytes)));
  return bytes;
}

std::array<std::byte, trailer_bytes> encode(const Trailer& trailer) {
  std::array<std::byte, trailer_bytes> bytes{};
  const Fields fields(bytes.data());
  std::memcpy(bytes.data(), trailer_magic, sizeof trailer_magic);
  fields.put(8, trailer.file_bytes);
  fields.put(16, trailer.index_offset);
  fields.put(24, trailer.entries);
  fields.put(32, trailer.index_sum);
  fields.put(40, trailer.sums);
  fields.put(48, trailer.sums_sum);
  fields.put(56, trailer.pages);
  fields.put(64, trailer.id);
  fields.put(trailer_bytes - sum_bytes, checksum(std::span(bytes).first(trailer_bytes - sum_bytes)));
  return bytes;
}

std::vector<std::byte> encode(std::span<const Entry> entries) {
  std::vector<std::byte> bytes(entries.size() * entry_bytes);
  std::byte* at = bytes.data();
  for (const Entry& entry : entries) {
    const Fields fields(at);
    fields.put(0, entry.first);
    fields.put(8, entry.pages);
    fields.put(16, entry.offset);
    fields.put(24, entry.bytes);
    at += entry_bytes;
  }
  return bytes;
}

std::vector<std::byte> encode(std::span<const std::uint64_t> sums) {
  std::vector<std::byte> bytes(sums.size() * sum_bytes);
  const Fields fields(bytes.data());
  for (std::size_t i = 0; i < sums.size(); ++i) fields.put(i * sum_bytes, sums[i]);
  return bytes;
}

Head decode_head(std::span<const std::byte, head_bytes> bytes) {
  const ConstFields fields(bytes.data());
  check_that(std::memcmp(bytes.data(), head_magic, sizeof head_magic) == 0, "it is no saved file of cow");
  const std::uint32_t version = fields.word(8);
  check_that(version == format_version, "it is of format version " + std::to_string(version) +
                                            ", and this reads version " + std::to_string(format_version));
  check_that(fields.number(head_bytes - sum_bytes) == checksum(bytes.first(head_bytes - sum_bytes)),
             "its head, the first 4096 bytes, does not match its checksum");
  Head head;
  head.flags = fields.word(12);
  check_that((head.flags & ~known_flags) == 0,
             "it uses features that this does not know (flags " + std::to_string(head.flags) + at_byte(12) + ")");
  head.page_bytes = fields.number(16);
  head.capacity = fields.number(24);
  head.address = fields.number(32);
  head.id = fields.id(40);
  head.base_id = fields.id(56);
  head.content = fields.id(72);
  head.heap_version = fields.number(88);
  head.heap_root = fields.number(96);
  head.heap_root_type = fields.number(104);
  check_that(
      std::has_single_bit(head.page_bytes) && head.page_bytes >= 512 && head.page_bytes <= block_bytes,
      "it has pages of " + counted(head.page_bytes, "byte") + at_byte(16));
  check_that(
      head.capacity != 0 && head.capacity % head.page_bytes == 0 && head.capacity <= most_capacity,
      "it has an impossible capacity" + at_byte(24));
  check_that(head.is_layer() == (head.base_id != Id{}), "it is half a layer" + at_byte(56));
  const std::size_t name = fields.word(112), note = fields.word(116);
  check_that(name <= head_bytes && note <= head_bytes && text_at + name + note <= head_bytes - sum_bytes,
             "its name and note are too long" + at_byte(112));
  head.name.assign(reinterpret_cast<const char*>(bytes.data()) + text_at, name);
  head.note.assign(reinterpret_cast<const char*>(bytes.data()) + text_at + name, note);
  return head;
}

Trailer decode_trailer(std::span<const std::byte, trailer_bytes> bytes, const Head& head, std::uint64_t file_bytes) {
  const ConstFields fields(bytes.data());
  const std::string end = ", the last 128 bytes of " + std::to_string(file_bytes) + ", ";
  check_that(std::memcmp(bytes.data(), trailer_magic, sizeof trailer_magic) == 0,
             "it was cut short, or never finished: its end" + end + "is missing");
  check_that(fields.number(trailer_bytes - sum_bytes) == checksum(bytes.first(trailer_bytes - sum_bytes)),
             "its end" + end + "does not match its checksum");
  Trailer trailer;
  trailer.file_bytes = fields.number(8);
  trailer.index_offset = fields.number(16);
  trailer.entries = fields.number(24);
  trailer.index_sum = fields.number(32);
  trailer.sums = fields.number(40);
  trailer.sums_sum = fields.number(48);
  trailer.pages = fields.number(56);
  trailer.id = fields.id(64);
  check_that(
      trailer.file_bytes == file_bytes,
      "it has " + std::to_string(file_bytes) + " bytes, and was written with " + std::to_string(trailer.file_bytes));
  check_that(trailer.id == head.id, "its end" + end + "is another file's");
  check_that(trailer.index_offset >= head_bytes && trailer.index_offset <= file_bytes &&
                 trailer.entries <= file_bytes / entry_bytes && trailer.sums <= file_bytes / sum_bytes &&
                 trailer.sums_offset() + trailer.sums * sum_bytes + trailer_bytes == file_bytes,
             "its parts do not add up to its length");
  return trailer;
}

void EntryDecoder::add(std::span<const std::byte> some) {
  checksum_.add(some);
  for (std::size_t at = 0; at < some.size(); at += entry_bytes) {
    const ConstFields fields(some.data() + at);
    const Entry entry{fields.number(0), fields.number(8), fields.number(16), fields.number(24)};
    check_entry(entry, entries_.empty() ? nullptr : &entries_.back(), head_, trailer_, entries_.size());
    entries_.push_back(entry);
    sums_ += sums_of(entry, head_);
    if (entry.bytes != 0) pages_ += entry.pages;
  }
}

std::vector<Entry> EntryDecoder::finish() {
  check_that(checksum_.value() == trailer_.index_sum,
             "its index," + at_byte(trailer_.index_offset) + ", does not match its checksum");
  check_that(sums_ == trailer_.sums && pages_ == trailer_.pages,
             "its index and its end tell different numbers of pages");
  return std::move(entries_);
}

void SumDecoder::add(std::span<const std::byte> some) {
  constexpr std::size_t cannot_be_zero = 512;  // 64 sums in a row
  const bool all_zero = std::all_of(some.begin(), some.end(), [](std::byte b) { return b == std::byte{0}; });
  check_that(some.size() < cannot_be_zero || !all_zero,
             "its checksums," + at_byte(trailer_.sums_offset() + sums_.size() * sum_bytes) + ", are zeros");
  checksum_.add(some);
  const ConstFields fields(some.data());
  for (std::size_t at = 0; at < some.size(); at += sum_bytes) sums_.push_back(fields.number(at));
}

std::vector<std::uint64_t> SumDecoder::finish() {
  check_that(checksum_.value() == trailer_.sums_sum,
             "its checksums," + at_byte(trailer_.sums_offset()) + ", do not match their own");
  return std::move(sums_);
}

}  // namespace cow::files

// See files/writer.hpp.
#include "files/writer.hpp"

#include <algorithm>

#include "storage/saved_files.hpp"

namespace cow::files {
namespace {

constexpr std::size_t chunk_bytes = std::size_t{1} << 20;  // of content, compressed as one

constexpr std::uint64_t large_block_bytes = SavedFiles::large_block_bytes;
constexpr std::uint64_t worth_large_blocks = 16 * large_block_bytes;  // a hole in the file may be as large as one

constexpr std::uint64_t round_up(std::uint64_t n, std::uint64_t to) noexcept { return (n + to - 1) / to * to; }

/// The first place at or behind `at` for a run of pages: where it has a whole block, blocks of the arena are blocks of
/// the file, in long runs large ones.
std::uint64_t place_for(std::uint64_t at, std::uint64_t first, std::uint64_t pages, std::uint64_t page_bytes) {
  const std::uint64_t begin = first * page_bytes, bytes = pages * page_bytes;
  const std::uint64_t block = bytes >= worth_large_blocks ? large_block_bytes : block_bytes;
  if (round_up(begin, block) + block > begin + bytes) return round_up(at, page_bytes);
  const std::uint64_t place = at / block * block + begin % block;
  return place >= at ? place : place + block;
}

}  // namespace

void place_all(std::vector<Place>& runs, std::uint64_t page_bytes) {
  std::uint64_t at = head_bytes;
  for (Place& run : runs) {
    run.offset = place_for(at, run.first, run.pages, page_bytes);
    at = run.offset + run.pages * page_bytes;
  }
}

Writer::Writer(Output& output, Head head, std::optional<int> level) : output_(output), head_(std::move(head)) {
  if (level) {
    head_.flags |= flag_zstd;
    compressor_ = std::make_unique<Compressor>(*level);
    packed_.resize(chunk_bytes);
  }
  const auto bytes = encode(head_);
  output_.write(0, bytes);
  next_ = bytes.size();
}

Writer::~Writer() = default;

void Writer::plan(std::span<const Place> runs) { plan_.assign(runs.begin(), runs.end()); }

void Writer::put(std::uint64_t first, std::span<const std::byte> content, std::uint64_t more,
                 std::span<const std::uint64_t> sums) {
  pages_ += content.size() / head_.page_bytes;
  if (compressor_ == nullptr) return write_plain(first, content, more, sums);
  while (!content.empty()) {
    const bool follows = !waiting_.empty() && waiting_first_ + waiting_.size() / head_.page_bytes == first &&
                         waiting_.size() < chunk_bytes;
    if (!follows) {
      write_packed();
      waiting_first_ = first;
    }
    const std::size_t room = std::max<std::size_t>(head_.page_bytes, chunk_bytes - waiting_.size());
    const auto some = content.first(std::min<std::size_t>(content.size(), room / head_.page_bytes * head_.page_bytes));
    waiting_.insert(waiting_.end(), some.begin(), some.end());
    content = content.subspan(some.size());
    first += some.size() / head_.page_bytes;
  }
}

void Writer::put_zeros(std::uint64_t first, std::uint64_t pages) { add({first, pages, 0, 0}, 0); }

std::uint64_t Writer::place_of(std::uint64_t first, std::uint64_t pages, std::uint64_t more) const {
  if (!plan_.empty()) {
    const auto behind = std::upper_bound(plan_.begin(), plan_.end(), first,
                                         [](std::uint64_t page, const Place& run) { return page < run.first; });
    const Place& run = *std::prev(behind);
    return run.offset + (first - run.first) * head_.page_bytes;
  }
  if (!output_.can_seek()) return round_up(next_, head_.page_bytes);
  if (!pieces_.empty()) {
    // A few pages of zeros between, in one block: what follows stays in line.
    const Entry& last = pieces_.back().entry;
    const bool plain = last.bytes == last.pages * head_.page_bytes;
    const std::uint64_t gap = (first - last.end()) * head_.page_bytes;
    const bool in_line = plain && last.offset + last.bytes == next_ && first >= last.end() &&
                         (next_ - last.end() * head_.page_bytes) % block_bytes == 0;
    if (in_line && gap < block_bytes && (gap == 0 || pages + more > block_bytes / head_.page_bytes)) return next_ + gap;
  }
  return place_for(next_, first, pages + more, head_.page_bytes);
}

void Writer::write_plain(std::uint64_t first, std::span<const std::byte> content, std::uint64_t more,
                         std::span<const std::uint64_t> sums) {
  const std::uint64_t page = head_.page_bytes, pages = content.size() / page;
  const std::uint64_t offset = place_of(first, pages, more);
  const std::uint64_t first_sum = sums_.size();
  sums_.insert(sums_.end(), sums.begin(), sums.end());
  for (std::uint64_t i = sums.size(); i < pages; ++i) sums_.push_back(checksum(content.subspan(i * page, page)));
  output_.write(offset, content);
  last_offset_ = offset;
  next_ = std::max(next_, offset + content.size());
  add({first, pages, offset, content.size()}, first_sum);
}

void Writer::write_packed() {
  if (waiting_.empty()) return;
  const std::span<const std::byte> content = waiting_;
  const std::uint64_t pages = content.size() / head_.page_bytes;
  packed_.resize(content.size() - 1);  // longer is not worth it
  const std::optional<std::size_t> bytes = compressor_->compress(content, packed_);
  if (bytes) {
    const auto packed = std::span<const std::byte>(packed_).first(*bytes);
    const std::uint64_t first_sum = sums_.size();
    sums_.push_back(checksum(packed));
    output_.write(next_, packed);
    add({waiting_first_, pages, next_, packed.size()}, first_sum);
    next_ += packed.size();
  } else {
    write_plain(waiting_first_, content, 0, {});
  }
  waiting_.clear();
}

/// Joins what goes on where the last piece ends.
void Writer::add(const Entry& entry, std::uint64_t first_sum) {
  const std::uint64_t page = head_.page_bytes;
  if (!pieces_.empty()) {
    Entry& last = pieces_.back().entry;
    const bool zeros = last.bytes == 0 && entry.bytes == 0;
    const bool plain = last.bytes == last.pages * page && entry.bytes == entry.pages * page &&
                       last.offset + last.bytes == entry.offset;
    if (last.end() == entry.first && (zeros || plain)) {
      last.pages += entry.pages;
      last.bytes += entry.bytes;
      return;
    }
  }
  pieces_.push_back({entry, first_sum});
}

void Writer::finish() {
  if (compressor_ != nullptr) write_packed();
  const auto before = [](const Piece& a, const Piece& b) { return a.entry.first < b.entry.first; };
  if (!std::is_sorted(pieces_.begin(), pieces_.end(), before)) sort_pieces();
  std::vector<Entry> entries;
  entries.reserve(pieces_.size());
  for (const Piece& piece : pieces_) entries.push_back(piece.entry);
  const std::vector<std::byte> index = encode(entries), sums = encode(sums_);
  Trailer trailer;
  trailer.index_offset = round_up(next_, sum_bytes);
  trailer.entries = entries.size();
  trailer.index_sum = checksum(index);
  trailer.sums = sums_.size();
  trailer.sums_sum = checksum(sums);
  trailer.pages = pages_;
  trailer.id = head_.id;
  trailer.file_bytes = trailer.sums_offset() + sums.size() + trailer_bytes;
  output_.write(trailer.index_offset, index);
  output_.write(trailer.sums_offset(), sums);
  output_.commit(trailer.sums_offset() + sums.size(), encode(trailer));
}

/// As the index has them: by pages, the checksums along, and neighbours joined.
void Writer::sort_pieces() {
  std::vector<Piece> pieces = std::move(pieces_);
  const std::vector<std::uint64_t> sums = std::move(sums_);
  pieces_.clear();
  sums_.clear();
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.entry.first < b.entry.first; });
  for (const Piece& piece : pieces) {
    const auto begin = sums.begin() + static_cast<std::ptrdiff_t>(piece.first_sum);
    const std::uint64_t first_sum = sums_.size();
    sums_.insert(sums_.end(), begin, begin + static_cast<std::ptrdiff_t>(sums_of(piece.entry, head_)));
    add(piece.entry, first_sum);
  }
}

}  // namespace cow::files

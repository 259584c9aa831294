// See files/tool/content.hpp.
#include "files/tool/content.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>

#include "files/content.hpp"
#include "files/error.hpp"
#include "files/output.hpp"
#include "files/tool/text.hpp"
#include "kernel/disk.hpp"
#include "words/amounts.hpp"

namespace cow::tool {
namespace {

using files::Content;
using files::Piece;

constexpr std::uint64_t bytes_at_once = std::uint64_t{1} << 20;

Content open(const Chain& chain) { return Content::open(chain.front(), std::span(chain).subspan(1)); }

/// Any part of a content, in ascending order, checked as it is read; zeros where there is none.
class Cursor {
 public:
  explicit Cursor(Content& content) : content_(content), at_(content.pieces().begin()) {}

  void read(std::uint64_t begin, std::span<std::byte> into) {
    std::fill(into.begin(), into.end(), std::byte{0});
    const std::uint64_t end = begin + into.size();
    while (at_ != content_.pieces().end() && at_->end <= begin) ++at_;
    for (auto piece = at_; piece != content_.pieces().end() && piece->begin < end; ++piece) {
      if (content_.is_zeros(*piece)) continue;
      const std::uint64_t from = std::max(begin, piece->begin), to = std::min(end, piece->end);
      content_.read(*piece, from, into.subspan(from - begin, to - from));
    }
  }
  /// The first byte at or behind `from` that may not be zero; the end of all where there is none.
  std::uint64_t next(std::uint64_t from) const {
    const auto piece = std::find_if(at_, content_.pieces().end(), [&](const Piece& p) { return p.end > from; });
    return piece == content_.pieces().end() ? ~std::uint64_t{0} : std::max(from, piece->begin);
  }

 private:
  Content& content_;
  std::vector<Piece>::const_iterator at_;
};

/// Runs of pages that differ, printed one by one.
class Differences {
 public:
  Differences(std::uint64_t page_bytes, bool json) : page_(page_bytes), json_(json) {}

  void add(std::uint64_t page) {
    ++pages_;
    if (count_ != 0 && first_ + count_ == page) {
      ++count_;
      return;
    }
    print();
    first_ = page;
    count_ = 1;
  }
  void finish(std::uint64_t capacity_a, std::uint64_t capacity_b) {
    print();
    if (json_) {
      std::printf("%s], \"page_bytes\": %llu, \"pages\": %llu, \"capacities\": [%llu, %llu]}\n",
                  runs_ == 0 ? "{\"differ\": [" : "", static_cast<unsigned long long>(page_),
                  static_cast<unsigned long long>(pages_), static_cast<unsigned long long>(capacity_a),
                  static_cast<unsigned long long>(capacity_b));
    } else {
      std::printf("%s differ, %s in %s\n", readable_bytes(pages_ * page_).c_str(), counted(pages_, "page").c_str(),
                  counted(runs_, "run").c_str());
    }
  }
  bool any() const noexcept { return pages_ != 0; }

 private:
  void print() {
    if (count_ == 0) return;
    const auto begin = static_cast<unsigned long long>(first_ * page_),
               bytes = static_cast<unsigned long long>(count_ * page_);
    if (json_) {
      std::printf("%s{\"offset\": %llu, \"bytes\": %llu}", runs_ == 0 ? "{\"differ\": [" : ", ", begin, bytes);
    } else {
      std::printf("0x%012llx  %s\n", begin, readable_bytes(bytes).c_str());
    }
    ++runs_;
  }

  std::uint64_t page_, first_ = 0, count_ = 0, pages_ = 0, runs_ = 0;
  bool json_;
};

/// A file to write raw bytes to, with holes where they are zero; or standard output.
class RawOutput {
 public:
  explicit RawOutput(const std::filesystem::path& path) {
    if (path != "-") output_ = std::make_unique<files::PathOutput>(path, true);
  }
  void write(std::uint64_t at, std::span<const std::byte> bytes) {
    if (output_ == nullptr)
      return files::fail_if(os::write_on(1, bytes.data(), bytes.size()), "writing to standard output");
    for (std::size_t begin = 0; begin < bytes.size();) {
      const std::size_t end = same_kind(bytes, begin);
      const auto blocks = bytes.subspan(begin, end - begin);
      if (!is_zero(blocks)) output_->write(at + begin, blocks);
      begin = end;
    }
  }
  /// `last`: the last byte, if there is one, which makes the file as long as it should be.
  void finish(std::uint64_t bytes, std::span<const std::byte> last) {
    if (output_ != nullptr) output_->commit(bytes - last.size(), last);
  }
  bool skips_zeros() const noexcept { return output_ != nullptr; }

 private:
  static bool is_zero(std::span<const std::byte> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
  }
  /// Where the blocks end that are zero, or not, as the one at `begin` is.
  static std::size_t same_kind(std::span<const std::byte> bytes, std::size_t begin) {
    constexpr std::size_t block = 4096;
    const auto zero_at = [&](std::size_t at) { return is_zero(bytes.subspan(at, std::min(block, bytes.size() - at))); };
    const bool kind = zero_at(begin);
    std::size_t end = begin;
    while (end < bytes.size() && zero_at(end) == kind) end = std::min(end + block, bytes.size());
    return end;
  }

  std::unique_ptr<files::PathOutput> output_;
};

}  // namespace

int diff(const Arguments& arguments) {
  Content a = open(arguments.chains[0]), b = open(arguments.chains[1]);
  for (const Content* content : {&a, &b}) {  // alone it would seem to have zeros where it says nothing
    if (!content->bottom().is_layer()) continue;
    content->files().front().refuse("it is a layer; name it behind the file that it lies on, as FILE,LAYER");
  }
  Cursor in_a(a), in_b(b);
  const std::uint64_t page = std::min(a.top().page_bytes, b.top().page_bytes);
  const std::uint64_t end = std::max(a.end(), b.end());
  Differences differences(page, arguments.json);
  Bar bar("comparing", arguments.quiet);
  std::vector<std::byte> one(bytes_at_once), two(bytes_at_once);
  for (std::uint64_t at = 0; at < end; at += bytes_at_once) {
    at = std::min(in_a.next(at), in_b.next(at)) / bytes_at_once * bytes_at_once;
    if (at >= end) break;
    in_a.read(at, one);
    in_b.read(at, two);
    for (std::uint64_t i = 0; i < bytes_at_once; i += page) {
      if (std::memcmp(one.data() + i, two.data() + i, page) != 0) differences.add((at + i) / page);
    }
    bar.show(at, end);
  }
  differences.finish(a.top().capacity, b.top().capacity);
  return differences.any() ? differs_or_damaged : all_well;
}

int extract(const Arguments& arguments) {
  Chain chain;
  for (const Chain& more : arguments.chains) chain.insert(chain.end(), more.begin(), more.end());
  Content content = open(chain);
  if (content.bottom().is_layer()) content.files().front().refuse("it is a layer; name the file that it lies on first");
  const std::uint64_t capacity = content.top().capacity;
  if (arguments.offset > capacity) throw WrongUse("--offset is beyond the arena's " + counted(capacity, "byte"));
  const std::uint64_t bytes = std::min(arguments.bytes, capacity - arguments.offset);
  RawOutput output(arguments.output);
  Cursor cursor(content);
  Bar bar("extracting", arguments.quiet);
  std::vector<std::byte> buffer;
  for (std::uint64_t done = 0; done < bytes;) {
    if (output.skips_zeros())
      done = std::max(done, std::min(cursor.next(arguments.offset + done) - arguments.offset, bytes));
    buffer.resize(std::min(bytes_at_once, bytes - done));
    cursor.read(arguments.offset + done, buffer);
    output.write(done, buffer);
    done += buffer.size();
    bar.show(done, bytes);
  }
  std::byte last[1];
  const auto end = std::span(last).first(bytes == 0 ? 0 : 1);
  Cursor(content).read(arguments.offset + bytes - end.size(), end);
  output.finish(bytes, end);
  return all_well;
}

}  // namespace cow::tool

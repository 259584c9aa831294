// cow::inspect(), verify() and squash(): files alone, no arena.
#include <algorithm>
#include <system_error>

#include "arena/operation.hpp"
#include "cow/save.hpp"
#include "files/content.hpp"
#include "files/options.hpp"
#include "files/output.hpp"
#include "files/writer.hpp"

namespace cow {
namespace {

using files::Content;
using files::Head;
using files::Piece;

constexpr std::uint64_t bytes_at_once = std::uint64_t{1} << 20;

/// One file's head in place of several: the newest's, on what the oldest lies on.
Head squashed_head(const Content& content, const SaveOptions& options) {
  if (content.top().capacity < content.end()) {
    content.files().back().refuse("it ends at " + in_bytes(content.top().capacity) + ", and what lies below it at " +
                                  in_bytes(content.end()));
  }
  Head head = content.top();
  head.flags = content.bottom().flags & files::flag_layer;
  head.base_id = content.bottom().base_id;
  if (!options.note.empty()) head.note = options.note;
  for (const files::Reader& file : content.files()) head.page_bytes = std::min(head.page_bytes, file.head().page_bytes);
  return head;
}

class Squash {
 public:
  Squash(Content& content, files::Output& output, const SaveOptions& options)
      : content_(content),
        head_(squashed_head(content, options)),
        writer_(output, head_, files::level_of(options)),
        output_(output),
        options_(options) {
    for (const Piece& piece : content.pieces()) total_ += piece.end - piece.begin;
  }

  void all() {
    for (const Piece& piece : content_.pieces()) {
      if (content_.is_zeros(piece)) {
        if (head_.is_layer())
          writer_.put_zeros(piece.begin / head_.page_bytes, (piece.end - piece.begin) / head_.page_bytes);
        done_ += piece.end - piece.begin;
      } else {
        copy(piece);
      }
    }
    tell();
    writer_.finish();
  }

 private:
  void copy(const Piece& piece) {
    for (std::uint64_t begin = piece.begin; begin < piece.end;) {
      const std::uint64_t bytes = std::min(bytes_at_once, piece.end - begin);
      buffer_.resize(bytes);
      content_.read(piece, begin, buffer_);
      writer_.put(begin / head_.page_bytes, buffer_, (piece.end - begin - bytes) / head_.page_bytes);
      begin += bytes;
      done_ += bytes;
      tell();
    }
  }

  void tell() const {
    if (!options_.progress) return;
    const bool go_on = options_.progress({done_, total_});
    output_.check_process();
    if (go_on) return;
    throw std::system_error(std::make_error_code(std::errc::operation_canceled),
                            "cow: " + output_.doing() + ", stopped by its progress function");
  }

  Content& content_;
  const Head head_;
  files::Writer writer_;
  files::Output& output_;
  const SaveOptions& options_;
  std::vector<std::byte> buffer_;
  std::uint64_t done_ = 0, total_ = 0;
};

}  // namespace

SavedFile inspect(const std::filesystem::path& path) {
  const files::Reader file = files::Reader::open(path);
  const Head& head = file.head();
  SavedFile saved{};
  saved.capacity = head.capacity;
  saved.pages = file.trailer().pages;
  saved.file_bytes = file.trailer().file_bytes;
  saved.address = static_cast<std::uintptr_t>(head.address);
  saved.page_bytes = head.page_bytes;
  saved.name = head.name;
  saved.note = head.note;
  saved.id = head.id;
  saved.base_id = head.base_id;
  saved.heap_version = head.heap_version;
  saved.is_compressed = (head.flags & files::flag_zstd) != 0;
  return saved;
}

void verify(const std::filesystem::path& path) { files::Reader::open(path).check_all(); }

void squash(const std::vector<std::filesystem::path>& file_and_layers, const std::filesystem::path& into,
            const SaveOptions& options) {
  if (file_and_layers.empty()) throw std::invalid_argument("cow: squash of no files");
  if (options.since || !options.base.empty()) {
    throw std::invalid_argument("cow: squash with SaveOptions::since or base, which are for versions");
  }
  files::check_options(options);
  Content content = Content::open(file_and_layers.front(), std::span(file_and_layers).subspan(1));
  files::PathOutput output(into, options.sync);
  Squash(content, output, options).all();
}

}  // namespace cow

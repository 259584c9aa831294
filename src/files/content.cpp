// See files/content.hpp.
#include "files/content.hpp"

#include <algorithm>

#include "books/run_list.hpp"
#include "files/error.hpp"

namespace cow::files {
namespace {

/// A file with holes may be longer than an address space, in which its beginning is mapped now and then.
constexpr std::uint64_t most_mapped_bytes = std::uint64_t{1} << 46;

void add_mapped(LoadPlan& plan, const LoadPlan::Mapped& more) {
  if (more.pages == 0) return;
  if (!plan.mapped.empty()) {
    LoadPlan::Mapped& last = plan.mapped.back();
    if (last.file == more.file && last.first_page + last.pages == more.first_page &&
        last.file_page + last.pages == more.file_page) {
      last.pages += more.pages;
      return;
    }
  }
  plan.mapped.push_back(more);
}

/// The whole pages inside a plain piece, if they are whole pages of the file too; what is left of it is copied.
void plan_piece(const Content& content, const Piece& piece, std::uint64_t page_bytes, bool lazy, LoadPlan& plan) {
  const std::uint64_t begin = (piece.begin + page_bytes - 1) / page_bytes * page_bytes;
  const std::uint64_t end = piece.end / page_bytes * page_bytes;
  const std::uint64_t offset = content.entry(piece).offset + content.offset_in_entry(piece) + (begin - piece.begin);
  const bool can_be_mapped =
      content.is_plain(piece) && begin < end && offset % page_bytes == 0 && offset + (end - begin) <= most_mapped_bytes;
  if (!lazy || !can_be_mapped) return plan.copied.push_back(piece);
  Piece rest = piece;
  if (piece.begin < begin) rest.end = begin, plan.copied.push_back(rest);
  add_mapped(plan, {begin / page_bytes, (end - begin) / page_bytes, piece.file, offset / page_bytes});
  rest = piece;
  if (end < piece.end) rest.begin = end, plan.copied.push_back(rest);
}

std::uint64_t mappings_of(const std::vector<LoadPlan::Mapped>& mapped, std::uint64_t shortest) {
  std::uint64_t mappings = 1;
  for (const LoadPlan::Mapped& run : mapped) mappings += run.pages >= shortest ? 2 : 0;
  return mappings;
}

/// Pages that are too scattered to be mapped are read instead, in long runs or short ones.
void copy_short_runs(const Content& content, std::uint64_t page_bytes, std::uint64_t shortest, LoadPlan& plan) {
  std::vector<LoadPlan::Mapped> kept;
  auto piece = content.pieces().begin();
  for (const LoadPlan::Mapped& run : plan.mapped) {
    if (run.pages >= shortest) {
      kept.push_back(run);
      continue;
    }
    const std::uint64_t begin = run.first_page * page_bytes, end = begin + run.pages * page_bytes;
    while (piece->end <= begin) ++piece;
    for (auto at = piece; at != content.pieces().end() && at->begin < end; ++at) {
      if (content.is_zeros(*at)) continue;
      plan.copied.push_back({std::max(at->begin, begin), std::min(at->end, end), at->file, at->entry});
    }
  }
  plan.mapped = std::move(kept);
}

/// Whether most of the mapped runs are a layer's, scattered over long ones below: those become one mapping.
bool lies_on_long_runs(const std::vector<LoadPlan::Mapped>& mapped, std::uint64_t most_mappings) {
  std::uint64_t lines = 1;
  const LoadPlan::Mapped* open = nullptr;
  std::uint64_t covered = 0;
  for (const LoadPlan::Mapped& run : mapped) {
    const bool gap = run.first_page != covered;
    covered = run.first_page + run.pages;
    const bool in_line = open != nullptr && !gap && run.file == open->file &&
                         run.file_page - open->file_page == run.first_page - open->first_page;
    const bool lies_on = open != nullptr && !gap && run.pages < length_worth_mapping;
    if (in_line || lies_on) continue;
    open = &run;
    lines += 2;
  }
  return lines <= most_mappings;
}

}  // namespace

Content::Content(std::vector<Reader> files) : files_(std::move(files)) {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const Reader& file = files_[i];
    if (i != 0 && !file.head().is_layer()) file.refuse("it is no layer; a whole file comes first");
    if (i != 0 && file.head().base_id != files_[i - 1].head().id) {
      file.refuse("it is a layer on another file than " + files_[i - 1].name());
    }
    lay_on(i);
  }
}

Content Content::open(const std::filesystem::path& file, std::span<const std::filesystem::path> layers) {
  std::vector<Reader> files;
  files.push_back(Reader::open(file));
  for (const std::filesystem::path& layer : layers) files.push_back(Reader::open(layer));
  return Content(std::move(files));
}

/// The new file's entries hide what is below them.
void Content::lay_on(std::size_t file) {
  const std::uint64_t page = files_[file].head().page_bytes;
  std::vector<Piece> pieces;
  pieces.reserve(pieces_.size() + 2 * files_[file].entries().size());
  auto below = pieces_.begin();
  Piece rest;  // of the piece below that the last entry ended in
  const auto take_below_up_to = [&](std::uint64_t end) {
    for (;;) {
      if (rest.begin >= rest.end) {
        if (below == pieces_.end() || below->begin >= end) return;
        rest = *below++;
      }
      if (rest.begin >= end) return;
      Piece part = rest;
      part.end = std::min(rest.end, end);
      pieces.push_back(part);
      rest.begin = part.end;
    }
  };
  const auto skip_below_up_to = [&](std::uint64_t end) {
    rest.begin = std::max(rest.begin, std::min(rest.end, end));
    while (rest.begin >= rest.end && below != pieces_.end() && below->begin < end) {
      rest = *below++;
      rest.begin = std::max(rest.begin, std::min(rest.end, end));
    }
  };
  const std::vector<Entry>& entries = files_[file].entries();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::uint64_t begin = entries[i].first * page, end = entries[i].end() * page;
    take_below_up_to(begin);
    skip_below_up_to(end);
    pieces.push_back({begin, end, file, i});
  }
  take_below_up_to(~std::uint64_t{0});
  pieces_ = std::move(pieces);
}

void Content::read(const Piece& piece, std::uint64_t begin, std::span<std::byte> into) {
  files_[piece.file].read(piece.entry, offset_in_entry(piece) + (begin - piece.begin), into);
}

void Content::check_what_is_not_shown() {
  std::vector<std::vector<Piece>> shown(files_.size());
  for (const Piece& piece : pieces_) shown[piece.file].push_back(piece);
  for (std::size_t f = 0; f < files_.size(); ++f) {
    Reader& file = files_[f];
    file.check_gaps();
    auto piece = shown[f].begin();
    for (std::size_t e = 0; e < file.entries().size(); ++e) {
      const Entry& entry = file.entries()[e];
      const std::uint64_t begin = entry.first * file.head().page_bytes, end = entry.end() * file.head().page_bytes;
      std::uint64_t at = begin;
      for (; piece != shown[f].end() && piece->entry == e; at = piece++->end) {
        if (entry.bytes != 0) file.check(e, at - begin, piece->begin - begin);
      }
      if (entry.bytes != 0) file.check(e, at - begin, end - begin);
    }
  }
}

std::uint64_t Content::end() const noexcept {
  for (auto piece = pieces_.rbegin(); piece != pieces_.rend(); ++piece) {
    if (!is_zeros(*piece)) return piece->end;
  }
  return 0;
}

LoadPlan plan_load(const Content& content, std::uint64_t page_bytes, bool lazy, std::uint64_t most_mappings) {
  LoadPlan plan;
  for (const Piece& piece : content.pieces()) {
    if (!content.is_zeros(piece)) plan_piece(content, piece, page_bytes, lazy, plan);
  }
  if (mappings_of(plan.mapped, 1) <= most_mappings || lies_on_long_runs(plan.mapped, most_mappings)) return plan;
  std::uint64_t shortest = 2;
  while (mappings_of(plan.mapped, shortest) > most_mappings) shortest *= 2;
  copy_short_runs(content, page_bytes, shortest, plan);
  return plan;
}

}  // namespace cow::files

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

/// Has runs read that were going to be mapped, ascending.
class PieceReader {
 public:
  PieceReader(const Content& content, std::uint64_t page_bytes, LoadPlan& plan)
      : pieces_(content.pieces()), content_(content), page_bytes_(page_bytes), plan_(plan), piece_(pieces_.begin()) {}

  void copy(const LoadPlan::Mapped& run) {
    const std::uint64_t begin = run.first_page * page_bytes_, end = begin + run.pages * page_bytes_;
    while (piece_->end <= begin) ++piece_;
    for (auto at = piece_; at != pieces_.end() && at->begin < end; ++at) {
      if (content_.is_zeros(*at)) continue;
      plan_.copied.push_back({std::max(at->begin, begin), std::min(at->end, end), at->file, at->entry});
    }
  }

 private:
  const std::vector<Piece>& pieces_;
  const Content& content_;
  const std::uint64_t page_bytes_;
  LoadPlan& plan_;
  std::vector<Piece>::const_iterator piece_;
};

/// Pages that are too scattered to be mapped are read instead, in long runs or short ones.
void copy_short_runs(const Content& content, std::uint64_t page_bytes, std::uint64_t shortest, LoadPlan& plan) {
  std::vector<LoadPlan::Mapped> kept;
  PieceReader reader(content, page_bytes, plan);
  for (const LoadPlan::Mapped& run : plan.mapped) {
    if (run.pages < shortest) {
      reader.copy(run);
    } else {
      kept.push_back(run);
    }
  }
  plan.mapped = std::move(kept);
}

/// The mapped runs as long ones, and short ones that lie on those, as a layer's scattered pages do. Calls
/// line(first) for a run that begins a long one, goes_on(run) where it goes on, and island(run) for the others.
template <class Line, class GoesOn, class Island>
void for_each_line(const std::vector<LoadPlan::Mapped>& mapped, Line&& line, GoesOn&& goes_on, Island&& island) {
  const LoadPlan::Mapped* open = nullptr;
  std::uint64_t covered = 0;
  for (const LoadPlan::Mapped& run : mapped) {
    const bool gap = run.first_page != covered;
    covered = run.first_page + run.pages;
    if (open != nullptr && !gap && run.file == open->file &&
        run.file_page - open->file_page == run.first_page - open->first_page) {
      goes_on(run);
    } else if (open != nullptr && !gap && run.pages < length_worth_mapping) {
      island(run);
    } else {
      open = &run;
      line(run);
    }
  }
}

std::uint64_t mappings_by_lines(const std::vector<LoadPlan::Mapped>& mapped) {
  std::uint64_t mappings = 1;
  const auto nothing = [](const LoadPlan::Mapped&) {};
  for_each_line(mapped, [&](const LoadPlan::Mapped&) { mappings += 2; }, nothing, nothing);
  return mappings;
}

/// What lies on long runs is read instead, over what they have there.
void copy_islands(const Content& content, std::uint64_t page_bytes, LoadPlan& plan) {
  std::vector<LoadPlan::Mapped> lines;
  PieceReader reader(content, page_bytes, plan);
  for_each_line(
      plan.mapped, [&](const LoadPlan::Mapped& run) { lines.push_back(run); },
      [&](const LoadPlan::Mapped& run) { lines.back().pages = run.first_page + run.pages - lines.back().first_page; },
      [&](const LoadPlan::Mapped& run) { reader.copy(run); });
  plan.mapped = std::move(lines);
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

LoadPlan plan_load(const Content& content, std::uint64_t page_bytes, const LoadLimits& limits) {
  LoadPlan plan;
  for (const Piece& piece : content.pieces()) {
    if (!content.is_zeros(piece)) plan_piece(content, piece, page_bytes, limits.lazy, plan);
  }
  if (mappings_of(plan.mapped, 1) <= limits.mappings) return plan;
  if (mappings_by_lines(plan.mapped) <= limits.mappings) {
    if (limits.islands_split) copy_islands(content, page_bytes, plan);
    return plan;
  }
  std::uint64_t shortest = 2;
  while (mappings_of(plan.mapped, shortest) > limits.mappings) shortest *= 2;
  copy_short_runs(content, page_bytes, shortest, plan);
  return plan;
}

}  // namespace cow::files

// cow::load(): an arena whose pages lie in files, and what cannot lie there read into it.
#include <algorithm>
#include <string>
#include <utility>

#include "arena/lifetime.hpp"
#include "arena/operation.hpp"
#include "cow/save.hpp"
#include "files/content.hpp"
#include "files/error.hpp"
#include "heap/layout.hpp"
#include "kernel/disk.hpp"

namespace cow {
namespace {

using files::Content;
using files::Head;
using files::LoadPlan;
using files::Piece;

constexpr std::size_t piece_bytes = std::size_t{1} << 20;
/// Shorter pieces are handed over as known writes, which split no mapping; longer ones are read in place.
constexpr std::size_t worth_opening = std::size_t{1} << 16;

void check_heap(const Content& content) {
  const Head& head = content.top();
  if (head.heap_version == 0 || head.heap_version == detail::heap_version) return;
  content.files().back().refuse("its heap is of version " + std::to_string(head.heap_version) +
                                ", and this library's of " + std::to_string(detail::heap_version));
}

std::size_t capacity_for(const Content& content, const LoadOptions& options) {
  if (options.capacity == 0) {
    if (content.top().capacity < content.end()) {
      content.files().back().refuse("it ends at " + in_bytes(content.top().capacity) + ", and what lies below it at " +
                                    in_bytes(content.end()));
    }
    return content.top().capacity;
  }
  if (options.capacity < content.end()) {
    throw std::invalid_argument("cow: loading into an arena of " + in_bytes(options.capacity) +
                                ", which is less than the content: " + in_bytes(content.end()));
  }
  return options.capacity;
}

ArenaOptions options_for(const Content& content, const LoadOptions& options) {
  ArenaOptions arena;
  arena.capacity = capacity_for(content, options);
  arena.name = options.name.empty() ? content.top().name : options.name;
  arena.barrier = options.barrier;
  arena.quiet_cuts = options.quiet_cuts;
  arena.gate = options.gate;
  arena.address = options.address;
  if (options.at_saved_address) {
    void* const saved = reinterpret_cast<void*>(content.top().address);
    if (options.address != nullptr && options.address != saved) {
      throw std::invalid_argument("cow: loading at the saved address and at another one, both asked for");
    }
    arena.address = saved;
  }
  return arena;
}

/// The files that the plan maps, by descriptors of their own until an arena takes them over, and its runs in their
/// frames.
class MappedContent {
 public:
  MappedContent(const Content& content, const LoadPlan& plan) : MappedContent() {  // which makes it whole: it closes
    constexpr std::size_t none = ~std::size_t{0};
    const std::string doing = "loading " + content.files().back().name();
    std::vector<std::size_t> number(content.files().size(), none);
    files_.reserve(number.size());
    for (const LoadPlan::Mapped& run : plan.mapped) {
      if (number[run.file] == none) number[run.file] = add(content.files()[run.file], doing);
      SavedContent::File& file = files_[number[run.file]];
      file.pages = std::max(file.pages, run.file_page + run.pages);
      const Frame frame = SavedFiles::frame_of(number[run.file], run.file_page);
      files::fail_if(saved_.runs.append({{run.first_page}, run.pages, frame}), doing);
    }
    saved_.files = files_;
    saved_.id = content.top().content;
  }
  ~MappedContent() {
    for (const SavedContent::File& file : files_) os::close_file(file.fd);
  }
  MappedContent(const MappedContent&) = delete;
  MappedContent& operator=(const MappedContent&) = delete;

  SavedContent& saved() noexcept { return saved_; }

 private:
  MappedContent() noexcept = default;
  std::size_t add(const files::Reader& file, const std::string& doing) {
    if (files_.size() == SavedFiles::most_files) {
      file.refuse("there are more files than one arena can map: " + std::to_string(SavedFiles::most_files) +
                  "; squash some of the layers");
    }
    const os::Descriptor fd = files::value_or_fail(os::duplicate(file.file()), doing);
    files_.push_back({fd, 0});
    return files_.size() - 1;
  }

  std::vector<SavedContent::File> files_;
  SavedContent saved_;
};

void copy_piece(Content& content, const Piece& piece, Arena& arena, std::vector<std::byte>& buffer) {
  for (std::uint64_t begin = piece.begin; begin < piece.end;) {
    const std::size_t bytes = std::min<std::uint64_t>(piece_bytes, piece.end - begin);
    std::byte* const to = arena.data() + begin;
    if (bytes >= worth_opening) {
      arena.prepare_write(to, bytes);
      content.read(piece, begin, {to, bytes});
    } else {
      buffer.resize(bytes);
      content.read(piece, begin, buffer);
      arena.write(to, buffer.data(), bytes);
    }
    begin += bytes;
  }
}

/// The pages that were read, in runs.
std::vector<Pages> copied_pages(const LoadPlan& plan) {
  std::vector<Piece> pieces = plan.copied;
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.begin < b.begin; });
  const std::size_t page = os::page_size();
  std::vector<Pages> runs;
  for (const Piece& piece : pieces) {
    const Page first{piece.begin / page}, end{(piece.end + page - 1) / page};
    if (runs.empty() || runs.back().end() < first) {
      runs.push_back({first, end - first});
    } else if (runs.back().end() < end) {
      runs.back().count = end - runs.back().first;
    }
  }
  return runs;
}

/// So that who saves can tell whether they were written since.
void note_copied(const LoadPlan& plan, const Arena& arena, const std::string& doing) {
  const std::size_t page = os::page_size();
  LoadedFrom& from = Access::books(arena)->family.loaded_from;
  for (const Pages& run : copied_pages(plan)) {
    files::fail_if(from.copied.push_back(run), doing);
    for (Page p = run.first; p < run.end(); ++p) {
      files::fail_if(from.sums.push_back(files::checksum({arena.data() + p.value * page, page})), doing);
    }
  }
}

Arena load_content(Content content, const LoadOptions& options) {
  if (content.bottom().is_layer()) {
    content.files().front().refuse("it is a layer; load the file that it lies on, and hand this one over as a layer");
  }
  check_heap(content);
  const ArenaOptions arena_options = options_for(content, options);
  const files::LoadLimits limits{options.lazy, fair_share_of_mappings(), begins_with_fronts(arena_options)};
  const LoadPlan plan = files::plan_load(content, os::page_size(), limits);
  MappedContent mapped(content, plan);
  Arena arena = Access::arena(create_arena(arena_options, &mapped.saved()));
  std::vector<std::byte> buffer;
  for (const Piece& piece : plan.copied) copy_piece(content, piece, arena, buffer);
  note_copied(plan, arena, "loading " + content.files().back().name());
  if (!options.lazy) content.check_what_is_not_shown();
  return arena;
}

}  // namespace

Arena load(const std::filesystem::path& path, const LoadOptions& options) {
  return load_content(Content::open(path, options.layers), options);
}

Arena load(int fd, const LoadOptions& options) {
  std::vector<files::Reader> readers;
  readers.push_back(files::Reader::of(fd));
  for (const std::filesystem::path& layer : options.layers) readers.push_back(files::Reader::open(layer));
  return load_content(Content(std::move(readers)), options);
}

}  // namespace cow

// The walk of check(): first the units from end to end, then each list and tree against what that walk counted.
#include "heap/heap_check.hpp"

#include <bit>
#include <string>

namespace cow::detail {

namespace {

struct ClassCount {
  std::uint64_t partial_spans = 0, free_blocks = 0, all_blocks = 0;
};

struct RunCount {
  std::uint64_t runs = 0, units = 0;
};

class Checker {
 public:
  explicit Checker(const HeapContext& context) noexcept
      : books_(context.books), header_(*books_.header), frontier_(header_.runs.frontier) {}

  HeapFindings run(const HeapContext& context) {
    if (check_header(context)) {
      walk_units();
      compare_large();
      check_runs(header_.runs.clean, clean_, header_.runs.clean_units, UnitKind::free_clean);
      check_runs(header_.runs.dirty, dirty_, header_.runs.dirty_units, UnitKind::free_dirty);
      check_ages();
      for (unsigned shard = 0; shard < books_.geometry.shard_count; ++shard) check_shard(shard);
      check_root();
    }
    found_.refused_frees = context.refused_frees.load(std::memory_order_relaxed);
    found_.last_refused = context.last_refused.load(std::memory_order_relaxed);
    return found_;
  }

 private:
  bool check_header(const HeapContext& context) {
    if (!context.holds_heap()) {
      found_.add("the header's magic number is {found}, not {expected}", 0, header_.magic, heap_magic);
    } else if (header_.version != heap_version) {
      found_.add("the header's version is {found}, not {expected}", 0, header_.version, heap_version);
    } else if (header_.capacity != context.capacity) {
      found_.add("the header's capacity is {found}, the arena's {expected}", 0, header_.capacity, context.capacity);
    } else if (frontier_ < books_.geometry.first_unit || frontier_ > books_.geometry.unit_count) {
      found_.add("the frontier is unit {found} of {expected}", 0, frontier_, books_.geometry.unit_count);
    } else {
      return true;
    }
    return false;
  }

  void walk_units() {
    UnitKind before = UnitKind::none;
    for (std::size_t at = books_.geometry.first_unit; at < frontier_;) {
      const Unit& unit = books_.units[at];
      const UnitKind kind = unit.tag().kind();
      if ((kind == UnitKind::free_clean || kind == UnitKind::free_dirty) && kind == before) {
        found_.add("the free run at unit {where} was not merged with the one before it", at);
      }
      const std::size_t units = check_unit(at, unit);
      if (units == 0 || units > frontier_ - at) {
        found_.add("unit {where} has the tag {found} and leads out of the used part; the rest cannot be walked", at,
                   unit.tag().word());
        return;
      }
      check_root_in(at, units, kind);
      before = kind;
      at += units;
    }
  }

  /// The number of units that belong to it, 0 if it cannot be known.
  std::size_t check_unit(std::size_t at, const Unit& unit) {
    switch (unit.tag().kind()) {
      case UnitKind::slab:
        return check_span(at, unit);
      case UnitKind::large:
        ++large_blocks_;
        large_units_ += unit.length;
        return unit.length;
      case UnitKind::free_clean:
        return check_run(at, unit, clean_);
      case UnitKind::free_dirty:
        return check_run(at, unit, dirty_);
      default:
        return 0;
    }
  }

  std::size_t check_run(std::size_t at, const Unit& head, RunCount& count) {
    if (head.length == 0 || head.length > frontier_ - at) return 0;
    ++count.runs;
    count.units += head.length;
    if (head.length == 1) return 1;
    const Unit& tail = books_.units[at + head.length - 1];
    if (tail.tag().kind() != UnitKind::free_tail || tail.length != head.length) {
      found_.add("the free run of {expected} units at unit {where} ends in one that says {found}", at, tail.length,
                 head.length);
    }
    return head.length;
  }

  std::size_t check_span(std::size_t at, const Unit& head) {
    const UnitTag tag = head.tag();
    if (tag.size_class() >= size_class_count || tag.shard() >= books_.geometry.shard_count) {
      found_.add("the span at unit {where} has a size class or shard that does not exist: {found}", at, tag.word());
      return 0;
    }
    const SizeClass& cls = size_classes[tag.size_class()];
    if (cls.span_units > frontier_ - at) return 0;
    for (unsigned rest = 1; rest < cls.span_units; ++rest) {
      const UnitTag expected(UnitKind::slab_rest, tag.size_class(), rest);
      const UnitTag actual = books_.units[at + rest].tag();
      if (actual != expected)
        found_.add("unit {where} has the tag {found}, not {expected}", at + rest, actual.word(), expected.word());
    }
    check_free_bits(at, head, cls);
    ClassCount& count = counts_[tag.shard()][tag.size_class()];
    count.all_blocks += cls.blocks;
    count.free_blocks += head.free_blocks;
    if (head.free_blocks == cls.blocks) empty_units_[tag.shard()] += cls.span_units;
    if (head.free_blocks != 0) ++count.partial_spans;
    return cls.span_units;
  }

  void check_free_bits(std::size_t at, const Unit& head, const SizeClass& cls) {
    unsigned bits = 0;
    for (const std::uint64_t word : head.free_bits) bits += static_cast<unsigned>(std::popcount(word));
    if (bits != head.free_blocks) {
      found_.add("the span at unit {where} counts {expected} free blocks and marks {found}", at, bits,
                 head.free_blocks);
    }
    for (unsigned block = cls.blocks; block < max_span_blocks; ++block) {
      if ((head.free_bits[block / 64] >> block % 64 & 1) != 0) {
        found_.add("the span at unit {where} marks block {found} of {expected}", at, block, cls.blocks);
      }
    }
  }

  void compare_large() {
    if (large_units_ != header_.runs.large_units || large_blocks_ != header_.runs.large_blocks) {
      found_.add("there are {found} units in large blocks, the header says {expected}", 0, large_units_,
                 header_.runs.large_units);
    }
  }

  /// The unit whose hook lies `hook_offset` bytes in, if `node` is such a hook in the used part of the table.
  const Unit* unit_of(const void* node, std::size_t hook_offset) const noexcept {
    const auto* const first = reinterpret_cast<const std::byte*>(books_.units + books_.geometry.first_unit);
    const auto* const end = reinterpret_cast<const std::byte*>(books_.units + frontier_);
    const auto* const p = static_cast<const std::byte*>(node);
    if (p < first || p >= end) return nullptr;
    const auto offset = static_cast<std::size_t>(p - first);
    if (offset % sizeof(Unit) != hook_offset) return nullptr;
    return books_.units + books_.geometry.first_unit + offset / sizeof(Unit);
  }

  // Trees: every node is reached once from the root, in order, and there are as many as the walk found. Recursion
  // is as deep as the tree, which is bounded so that a cycle ends.
  void check_runs(const UnitTree& tree, const RunCount& walked, std::uint64_t units, UnitKind kind) {
    TreeWalk walk{kind, nullptr, 0, true};
    walk_tree(TreeNodes::get_parent(tree.end().pointed_node()), 0, walk);
    const char* const text = kind == UnitKind::free_clean
                                 ? "the tree of clean runs is damaged: {found} of {expected} runs in it"
                                 : "the tree of dirty runs is damaged: {found} of {expected} runs in it";
    if (!walk.sound || walk.seen != walked.runs) found_.add(text, 0, walk.seen, walked.runs);
    if (units != walked.units) {
      found_.add("there are {found} units in free runs, the header says {expected}", 0, walked.units, units);
    }
  }

  using TreeNodes = UnitTree::node_traits;
  using ListNodes = UnitList::node_traits;

  struct TreeWalk {
    UnitKind kind;
    const Unit* before;
    std::uint64_t seen;
    bool sound;
  };

  void walk_tree(TreeNodes::node_ptr node, unsigned depth, TreeWalk& walk) {
    constexpr unsigned deepest = 128;
    if (!node || !walk.sound) return;
    const Unit* const unit = unit_of(node.get(), offsetof(Unit, by_size));
    walk.sound = depth <= deepest && unit != nullptr && unit->tag().kind() == walk.kind;
    if (!walk.sound) return;
    walk_tree(TreeNodes::get_left(node), depth + 1, walk);
    if (walk.before != nullptr && !ByLength{}(*walk.before, *unit)) walk.sound = false;
    walk.before = unit;
    ++walk.seen;
    walk_tree(TreeNodes::get_right(node), depth + 1, walk);
  }

  /// Visits each unit on the list; false if a link leads out of the table or is not returned.
  template <class Visit>
  bool walk_list(const UnitList& list, Visit visit) const {
    const auto header = list.end().pointed_node();
    ListNodes::const_node_ptr before = header;
    for (auto node = ListNodes::get_next(header); node != header; node = ListNodes::get_next(node)) {
      const Unit* const unit = unit_of(node.get(), offsetof(Unit, link));
      if (unit == nullptr || ListNodes::get_previous(node) != before || !visit(*unit)) return false;
      before = node;
    }
    return true;
  }

  void check_ages() {
    std::uint64_t seen = 0;
    const bool sound = walk_list(header_.runs.dirty_by_age, [&](const Unit& unit) {
      return ++seen <= dirty_.runs && unit.tag().kind() == UnitKind::free_dirty;
    });
    if (!sound || seen != dirty_.runs) {
      found_.add("the list of dirty runs is damaged: {found} of {expected} runs on it", 0, seen, dirty_.runs);
    }
  }

  void check_shard(unsigned shard) {
    for (unsigned size_class = 0; size_class < size_class_count; ++size_class) {
      const ClassCount& count = counts_[shard][size_class];
      if (books_.shards[shard].formatted) {
        check_class(shard, size_class, count);
      } else if (count.all_blocks != 0) {
        found_.add("there are spans of shard {where}, which was never used", shard);
      }
    }
    if (books_.shards[shard].empty_units != empty_units_[shard]) {
      found_.add("there are {found} units in empty spans of shard {where}, the shard says {expected}", shard,
                 empty_units_[shard], books_.shards[shard].empty_units);
    }
  }

  void check_class(unsigned shard, unsigned size_class, const ClassCount& count) {
    const ClassState& state = books_.shards[shard].classes[size_class];
    const std::uint64_t where = size_classes[size_class].block_bytes;
    if (state.free_blocks != count.free_blocks || state.all_blocks != count.all_blocks) {
      found_.add("spans of blocks of {where} bytes have {found} free blocks, their shard says {expected}", where,
                 count.free_blocks, state.free_blocks);
    }
    std::uint64_t listed = 0;
    bool sound = true;
    for (const UnitList* list : {&state.ready, &state.hollow, &state.cold}) {
      sound = sound && walk_list(*list, [&](const Unit& unit) {
                return ++listed <= count.partial_spans && unit.free_blocks != 0 &&
                       unit.tag() == UnitTag(UnitKind::slab, size_class, shard);
              });
    }
    if (!sound || listed != count.partial_spans) {
      found_.add("the lists of spans of blocks of {where} bytes are damaged: {found} of {expected} spans on them",
                 where, listed, count.partial_spans);
    }
  }

  void check_root_in(std::size_t at, std::size_t units, UnitKind kind) noexcept {
    const std::uint64_t unit = header_.root >> unit_shift;
    if (unit >= at && unit < at + units) root_is_used_ = kind == UnitKind::slab || kind == UnitKind::large;
  }

  void check_root() {
    if (header_.root != 0 && !root_is_used_)
      found_.add("the root, at offset {where}, is not in any block", header_.root);
  }

  const Books& books_;
  const Header& header_;
  const std::uint64_t frontier_;
  HeapFindings found_;
  ClassCount counts_[max_shards][size_class_count] = {};
  RunCount clean_, dirty_;
  std::uint64_t empty_units_[max_shards] = {};
  std::uint64_t large_units_ = 0, large_blocks_ = 0;
  bool root_is_used_ = false;
};

void replace(std::string& text, const std::string& name, std::uint64_t value) {
  const std::size_t at = text.find(name);
  if (at != std::string::npos) text.replace(at, name.size(), std::to_string(value));
}

}  // namespace

HeapFindings check_heap(const HeapContext& context) { return Checker(context).run(context); }

HeapReport describe(const HeapFindings& findings) {
  HeapReport report;
  report.refused_frees = findings.refused_frees;
  report.last_refused = findings.last_refused;
  for (std::size_t i = 0; i < findings.count && i < HeapFindings::most_kept; ++i) {
    const HeapFindings::Finding& finding = findings.kept[i];
    std::string text = finding.text;
    replace(text, "{where}", finding.where);
    replace(text, "{found}", finding.found);
    replace(text, "{expected}", finding.expected);
    report.problems.push_back(std::move(text));
  }
  if (findings.count > HeapFindings::most_kept) {
    report.problems.push_back("and " + std::to_string(findings.count - HeapFindings::most_kept) + " more");
  }
  return report;
}

HeapStats heap_stats(const HeapContext& context) {
  const Books& books = context.books;
  const RunState& runs = books.header->runs;
  HeapStats stats;
  stats.live_blocks = runs.large_blocks;
  stats.live_bytes = runs.large_units * unit_bytes;
  std::uint64_t shards = 0, empty_units = 0;
  for (unsigned shard = 0; shard < books.geometry.shard_count; ++shard) {
    if (!books.shards[shard].formatted) continue;
    ++shards;
    empty_units += books.shards[shard].empty_units;
    for (unsigned size_class = 0; size_class < size_class_count; ++size_class) {
      const ClassState& state = books.shards[shard].classes[size_class];
      const std::uint64_t live = state.all_blocks - state.free_blocks;
      stats.live_blocks += live;
      stats.live_bytes += live * size_classes[size_class].block_bytes;
    }
  }
  const std::uint64_t begun = runs.frontier - books.geometry.first_unit;
  stats.used_bytes = (begun - runs.clean_units - runs.dirty_units - empty_units) * unit_bytes;
  stats.kept_bytes = (runs.dirty_units + empty_units) * unit_bytes;
  stats.bookkeeping_bytes = sizeof(Header) + shards * sizeof(Shard) + begun * sizeof(Unit);
  stats.refused_frees = context.refused_frees.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace cow::detail

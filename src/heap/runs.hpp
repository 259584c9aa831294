// Runs of whole units: large blocks, and the spans that small blocks are cut from. Best fit; knows nothing of shards.
#pragma once

#include <cstddef>

#include "heap/context.hpp"
#include "heap/keep_policy.hpp"

namespace cow::detail {

/// All members need the page lock, unless they say otherwise. Units are named by their index from the arena's start;
/// 0, which the header occupies, means none.
///
/// Free runs are of two kinds that never merge with each other, so that the memory of one part can be given back
/// without touching the rest: dirty ones have memory, clean ones have not. Beyond the frontier all is clean.
class Runs {
 public:
  explicit Runs(HeapContext& context) noexcept : context_(context) {}

  /// Once for each heap.
  void format();

  struct Span {
    std::size_t first = 0;    // 0: the arena is full
    std::size_t prepare = 0;  // units from `first` on to be made writable by the caller, after unlocking
  };
  /// For small blocks. The caller sets the tags.
  Span take_span(std::size_t units);
  struct Large {
    std::size_t first = 0;  // 0: the arena is full
    bool clean = false;     // never used, or given back
  };
  /// `alignment`: in bytes, a multiple of a unit.
  Large take_large(std::size_t units, std::size_t alignment);

  /// The tags of these units must be none.
  void give_back(std::size_t first, std::size_t units);
  void give_back_large(std::size_t first);

  bool grow_large(std::size_t first, std::size_t units);
  void shrink_large(std::size_t first, std::size_t units);

  /// More memory is kept in free runs than is likely to be wanted soon.
  bool keeps_too_much() noexcept { return state().dirty_units > units_to_keep(); }
  /// Gives some of the surplus back, the oldest runs first: not much more at once than was freed last.
  void purge_surplus() noexcept;
  void purge_all() noexcept;

  /// At most so much free memory is kept; an option that lives in the arena.
  void set_most_kept(std::size_t bytes) noexcept;

 private:
  RunState& state() const noexcept { return context_.books.header->runs; }
  Unit& unit(std::size_t index) const noexcept { return context_.books.units[index]; }
  std::uint64_t next_serial() noexcept;
  bool is_free(std::size_t from, std::size_t to) const noexcept;
  std::size_t units_begun() const noexcept;
  std::size_t units_used() const noexcept;
  std::size_t units_to_keep() noexcept;
  bool is_mostly_writable(std::size_t first, std::size_t units) const noexcept;
  void purge(std::size_t units_left, std::size_t at_most) noexcept;
  void purge_end_of(Unit& run, std::size_t units);

  std::size_t take_from(UnitTree& tree, std::size_t units, std::size_t alignment);
  std::size_t take_from_frontier(std::size_t units, std::size_t alignment);
  std::size_t take_clean(std::size_t units, std::size_t alignment);
  Large take_anywhere(std::size_t units, std::size_t alignment);
  std::size_t take_writable(std::size_t units);
  std::size_t carve(Unit& run, std::size_t first, std::size_t units);
  std::size_t first_aligned(std::size_t first, std::size_t alignment) const noexcept;
  std::size_t units_to_prepare(std::size_t first);

  void insert(std::size_t first, std::size_t units, UnitKind kind);
  void insert_merged(std::size_t first, std::size_t units, UnitKind kind);
  void remove(Unit& run);
  Unit* free_run_before(std::size_t index, UnitKind kind) const noexcept;

  HeapContext& context_;
  KeepPolicy policy_;
  std::size_t units_freed_last_ = 0;
};

}  // namespace cow::detail

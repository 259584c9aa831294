// Runs of whole units: large blocks, and the spans that small blocks are cut from. Best fit; knows nothing of shards.
#pragma once

#include <cstddef>

#include "heap/context.hpp"

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
  /// `alignment`: in bytes, a multiple of a unit.
  std::size_t take_large(std::size_t units, std::size_t alignment);

  /// The tags of these units must be none.
  void give_back(std::size_t first, std::size_t units);
  void give_back_large(std::size_t first);

  bool grow_large(std::size_t first, std::size_t units);
  void shrink_large(std::size_t first, std::size_t units);

  /// More memory is kept in free runs than is likely to be wanted soon.
  bool keeps_too_much() const noexcept { return state().dirty_units > units_to_keep(); }
  /// Gives memory back, the oldest runs first, until only what is likely to be wanted is kept.
  void purge_surplus() noexcept { purge(units_to_keep() / 2); }
  void purge(std::size_t units_left) noexcept;

 private:
  RunState& state() const noexcept { return context_.books.header->runs; }
  Unit& unit(std::size_t index) const noexcept { return context_.books.units[index]; }
  std::size_t units_to_keep() const noexcept;

  std::size_t take_from(UnitTree& tree, std::size_t units, std::size_t alignment);
  std::size_t take_from_frontier(std::size_t units, std::size_t alignment);
  std::size_t take_anywhere(std::size_t units, std::size_t alignment);
  std::size_t take_writable(std::size_t units);
  std::size_t carve(Unit& run, std::size_t first, std::size_t units);
  std::size_t first_aligned(std::size_t first, std::size_t alignment) const noexcept;
  std::size_t units_to_prepare(std::size_t first);

  void insert(std::size_t first, std::size_t units, UnitKind kind);
  void insert_merged(std::size_t first, std::size_t units, UnitKind kind);
  void remove(Unit& run);
  Unit* free_run_before(std::size_t index, UnitKind kind) const noexcept;

  HeapContext& context_;
};

}  // namespace cow::detail

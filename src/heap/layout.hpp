// What the heap keeps in the arena, byte for byte: header, shards and the table of units. All of it is position-
// independent, and zero everywhere means unused, so that the part of the arena that was never used costs nothing.
#pragma once

#include <atomic>
#include <bit>
#include <boost/interprocess/offset_ptr.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstddef>
#include <cstdint>

#include "heap/size_class.hpp"

namespace cow::detail {

using SelfRelative = boost::interprocess::offset_ptr<void>;
using ListHook = boost::intrusive::list_member_hook<boost::intrusive::void_pointer<SelfRelative>,
                                                    boost::intrusive::link_mode<boost::intrusive::normal_link>>;
using TreeHook = boost::intrusive::set_member_hook<boost::intrusive::void_pointer<SelfRelative>,
                                                   boost::intrusive::link_mode<boost::intrusive::normal_link>,
                                                   boost::intrusive::optimize_size<true>>;

enum class UnitKind : std::uint8_t {
  none,        // inside a run or a large block, or never used
  slab,        // first unit of a span of small blocks
  slab_rest,   // another unit of such a span
  large,       // first unit of a large block
  free_clean,  // first unit of a free run whose memory was given back
  free_dirty,  // first unit of a free run that still has memory
  free_tail,   // last unit of a free run longer than one
};

/// What a unit is, in one word, so that deallocate() can ask without a lock: of a live block it cannot change.
class UnitTag {
 public:
  constexpr UnitTag() noexcept = default;
  constexpr explicit UnitTag(UnitKind kind, unsigned size_class = 0, unsigned extra = 0) noexcept
      : word_(static_cast<std::uint32_t>(kind) | size_class << 8 | extra << 16) {}
  constexpr explicit UnitTag(std::uint32_t word) noexcept : word_(word) {}

  constexpr std::uint32_t word() const noexcept { return word_; }
  constexpr UnitKind kind() const noexcept { return static_cast<UnitKind>(word_ & 0xff); }
  constexpr unsigned size_class() const noexcept { return word_ >> 8 & 0xff; }
  constexpr unsigned shard() const noexcept { return word_ >> 16; }              // of a slab
  constexpr unsigned distance_to_first() const noexcept { return word_ >> 16; }  // of a slab_rest
  friend constexpr bool operator==(UnitTag, UnitTag) noexcept = default;

 private:
  std::uint32_t word_ = 0;
};

/// The books of one unit, one cache line. A free block is a set bit in the books of its span's first unit: freeing a
/// block never touches the block. Guarded by the lock of the slab's shard, else by the page lock.
struct alignas(64) Unit {
  std::atomic<std::uint32_t> tag_word;
  std::uint16_t free_blocks;  // slab
  std::uint8_t hollow;        // slab: on its class's list of hollow spans
  std::uint8_t unused;
  union {
    std::uint64_t length;  // large, free, free_tail: units in the run
    std::uint64_t stamp;   // slab: the cut since which its pages were made writable
  };
  ListHook link;  // slab with free blocks: a list of its class; free_dirty: the runs by age
  union {
    std::uint64_t free_bits[4];  // slab
    std::uint64_t serial;        // large: no other block of the arena's family has it
    TreeHook by_size;            // free
  };

  UnitTag tag() const noexcept { return UnitTag(tag_word.load(std::memory_order_relaxed)); }
  void set_tag(UnitTag tag) noexcept { tag_word.store(tag.word(), std::memory_order_relaxed); }
};
static_assert(sizeof(Unit) == 64);

/// Shortest first, then by address: lower_bound finds the best fit, and the lowest of the equally good.
struct ByLength {
  bool operator()(const Unit& a, const Unit& b) const noexcept {
    return a.length != b.length ? a.length < b.length : &a < &b;
  }
};

using UnitList = boost::intrusive::list<Unit, boost::intrusive::member_hook<Unit, ListHook, &Unit::link>,
                                        boost::intrusive::constant_time_size<false>>;
using UnitTree =
    boost::intrusive::set<Unit, boost::intrusive::member_hook<Unit, TreeHook, &Unit::by_size>,
                          boost::intrusive::compare<ByLength>, boost::intrusive::constant_time_size<false>>;

/// The spans of one size class in one shard that have free blocks. Full spans are on no list.
struct ClassState {
  UnitList ready;   // writable without a fault since the cut `stamp`: blocks come from here
  UnitList hollow;  // not known to be writable, a quarter free or more
  UnitList cold;    // not known to be writable; those that got their first free block longest ago come first
  std::uint64_t free_blocks = 0;
  std::uint64_t all_blocks = 0;
  std::uint64_t stamp = 0;
};

struct alignas(64) Shard {
  std::uint64_t formatted;
  ClassState classes[size_class_count];
  std::uint64_t empty_units;  // in spans that hold no live block
};

/// The runs of free units, and what is beyond `frontier`: never used, or given back.
struct RunState {
  UnitTree clean;
  UnitTree dirty;
  UnitList dirty_by_age;  // the youngest first
  std::uint64_t clean_units = 0;
  std::uint64_t dirty_units = 0;
  std::uint64_t large_units = 0;
  std::uint64_t large_blocks = 0;
  std::uint64_t frontier = 0;
  std::uint64_t prepared_from = 0;  // units made writable ahead of their use since the cut `prepared_stamp`
  std::uint64_t prepared_to = 0;
  std::uint64_t prepared_stamp = 0;
};

inline constexpr std::uint64_t heap_magic = 0x70616568776f6331;  // "1cowheap" in memory
inline constexpr std::uint64_t heap_version = 1;
inline constexpr std::size_t default_most_kept = std::size_t{64} << 20;

struct Header {
  std::uint64_t magic;
  std::uint64_t version;
  std::uint64_t capacity;
  std::uint64_t root;       // offset from the arena's start; 0: none
  std::uint64_t root_type;  // 0: unknown
  RunState runs;
  std::uint64_t most_kept;  // bytes of free memory, and one; 0: the default
  std::uint64_t last_serial;  // of large blocks
};
static_assert(sizeof(Header) <= 192, "what lies behind it has its place in saved files");

inline constexpr unsigned max_shards = 16;
inline constexpr std::size_t units_per_shard = 1024;  // small arenas get few shards: each keeps pages of its own open

/// Where things lie, a function of the capacity alone.
struct Geometry {
  std::size_t unit_count = 0;
  unsigned shard_count = 0;  // a power of two
  std::size_t shards_offset = 0;
  std::size_t units_offset = 0;
  std::size_t first_unit = 0;  // the first that can hold blocks

  static constexpr Geometry of(std::size_t capacity) noexcept {
    constexpr auto up = [](std::size_t n, std::size_t to) { return (n + to - 1) / to * to; };
    Geometry g;
    g.unit_count = capacity / unit_bytes;
    const std::size_t wanted = g.unit_count / units_per_shard;
    g.shard_count = wanted >= max_shards ? max_shards : std::bit_floor(wanted < 1 ? 1u : static_cast<unsigned>(wanted));
    g.shards_offset = up(sizeof(Header), alignof(Shard));
    g.units_offset = g.shards_offset + g.shard_count * sizeof(Shard);
    g.first_unit = up(g.units_offset + g.unit_count * sizeof(Unit), unit_bytes) / unit_bytes;
    return g;
  }
};

/// The same, as pointers into one arena. Kept outside it.
struct Books {
  std::byte* base = nullptr;
  Header* header = nullptr;
  Shard* shards = nullptr;
  Unit* units = nullptr;
  Geometry geometry;

  std::size_t index_of(const Unit& unit) const noexcept { return static_cast<std::size_t>(&unit - units); }
  std::byte* address_of(std::size_t unit) const noexcept { return base + (unit << unit_shift); }
};

}  // namespace cow::detail

// The sizes that small blocks come in: about 12.5 % apart, chosen so that a span's pages are filled to the end.
// Numbers only: nothing here touches memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace cow::detail {

/// The unit the heap deals in. A constant and not the kernel's page size, so that the size classes fit it; on
/// kernels with larger pages several units share a page, which only makes some hints less exact.
inline constexpr std::size_t unit_bytes = 4096;
inline constexpr unsigned unit_shift = 12;

inline constexpr std::size_t block_step = 16;  // every block is a multiple of this, and aligned to it
inline constexpr std::size_t max_small_bytes = 8192;
inline constexpr unsigned max_span_units = 8;
inline constexpr std::size_t max_span_blocks = 256;

struct SizeClass {
  std::uint32_t block_bytes = 0;
  std::uint32_t reciprocal = 0;  // ceil(2^32 / block_bytes): exact quotients for any offset in a span
  std::uint16_t blocks = 0;      // in one span
  std::uint16_t span_units = 0;

  /// The index of the block that the byte at `offset` of the span lies in.
  constexpr unsigned block_at(std::size_t offset) const noexcept {
    return static_cast<unsigned>((static_cast<std::uint64_t>(offset) * reciprocal) >> 32);
  }
};

namespace size_class_tables {

struct Choice {
  std::uint16_t block_bytes, span_units;
};

// Up to 1,024 bytes: a unit divided by a whole number, so that a block never crosses a page. Above: spans of several
// units, because a unit holds too few blocks to hit sizes 12.5 % apart.
inline constexpr std::array choices{
    Choice{16, 1},   Choice{32, 1},   Choice{48, 1},   Choice{64, 1},   Choice{80, 1},   Choice{96, 1},
    Choice{112, 1},  Choice{128, 1},  Choice{144, 1},  Choice{160, 1},  Choice{176, 1},  Choice{192, 1},
    Choice{208, 1},  Choice{224, 1},  Choice{240, 1},  Choice{256, 1},  Choice{272, 1},  Choice{288, 1},
    Choice{304, 1},  Choice{336, 1},  Choice{368, 1},  Choice{400, 1},  Choice{448, 1},  Choice{512, 1},
    Choice{576, 1},  Choice{672, 1},  Choice{816, 1},  Choice{1024, 1}, Choice{1168, 2}, Choice{1360, 1},
    Choice{1488, 4}, Choice{1632, 2}, Choice{1808, 4}, Choice{2048, 1}, Choice{2336, 4}, Choice{2720, 2},
    Choice{3264, 4}, Choice{3632, 8}, Choice{4096, 4}, Choice{4672, 8}, Choice{5456, 4}, Choice{6544, 8},
    Choice{8192, 8},
};

constexpr SizeClass make(Choice choice) {
  SizeClass made;
  made.block_bytes = choice.block_bytes;
  made.span_units = choice.span_units;
  made.blocks = static_cast<std::uint16_t>(choice.span_units * unit_bytes / choice.block_bytes);
  made.reciprocal =
      static_cast<std::uint32_t>(((std::uint64_t{1} << 32) + choice.block_bytes - 1) / choice.block_bytes);
  return made;
}

constexpr auto make_classes() {
  std::array<SizeClass, choices.size()> classes{};
  for (std::size_t i = 0; i < choices.size(); ++i) classes[i] = make(choices[i]);
  return classes;
}

constexpr auto make_lookup() {
  std::array<std::uint8_t, max_small_bytes / block_step + 1> lookup{};
  std::uint8_t of = 0;
  for (std::size_t steps = 0; steps < lookup.size(); ++steps) {
    if (steps * block_step > choices[of].block_bytes) ++of;
    lookup[steps] = of;
  }
  return lookup;
}

inline constexpr auto lookup = make_lookup();

}  // namespace size_class_tables

inline constexpr auto size_classes = size_class_tables::make_classes();
inline constexpr unsigned size_class_count = static_cast<unsigned>(size_classes.size());

/// The smallest class that holds `bytes`, which must be at most max_small_bytes.
constexpr unsigned size_class_of(std::size_t bytes) noexcept {
  return size_class_tables::lookup[(bytes + block_step - 1) / block_step];
}

/// The smallest class that holds `bytes` and whose blocks are all aligned to `alignment`, a power of two up to
/// unit_bytes; size_class_count if there is none.
constexpr unsigned aligned_size_class_of(std::size_t bytes, std::size_t alignment) noexcept {
  unsigned of = size_class_of(bytes);
  while (of < size_class_count && size_classes[of].block_bytes % alignment != 0) ++of;
  return of;
}

static_assert(size_classes.back().block_bytes == max_small_bytes);

}  // namespace cow::detail

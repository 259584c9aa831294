// The table of small sizes: what the slabs take for granted.
#include "heap/size_class.hpp"

#include <gtest/gtest.h>

namespace cow::detail {
namespace {

TEST(SizeClass, holds_what_was_asked_for_and_no_smaller_one_would) {
  for (std::size_t bytes = 0; bytes <= max_small_bytes; ++bytes) {
    const unsigned chosen = size_class_of(bytes);
    ASSERT_GE(size_classes[chosen].block_bytes, bytes);
    ASSERT_TRUE(chosen == 0 || size_classes[chosen - 1].block_bytes < bytes);
  }
}

TEST(SizeClass, wastes_little_on_rounding) {
  for (unsigned i = 8; i + 1 < size_class_count; ++i) {
    EXPECT_LE(size_classes[i + 1].block_bytes, size_classes[i].block_bytes * 1.27) << size_classes[i].block_bytes;
  }
}

TEST(SizeClass, fills_its_pages) {
  for (const SizeClass& cls : size_classes) {
    EXPECT_GE(cls.blocks * cls.block_bytes, cls.span_units * unit_bytes * 96 / 100) << cls.block_bytes;
    EXPECT_LE(cls.blocks * cls.block_bytes, cls.span_units * unit_bytes) << cls.block_bytes;
    EXPECT_EQ(cls.block_bytes % block_step, 0u);
  }
}

TEST(SizeClass, fits_the_books_of_a_span) {
  for (const SizeClass& cls : size_classes) {
    EXPECT_GE(cls.blocks, 2);
    EXPECT_LE(cls.blocks, max_span_blocks);
    EXPECT_LE(cls.span_units, max_span_units);
  }
}

TEST(SizeClass, finds_the_block_of_every_byte) {
  for (const SizeClass& cls : size_classes) {
    for (std::size_t offset = 0; offset < cls.span_units * unit_bytes; ++offset) {
      ASSERT_EQ(cls.block_at(offset), offset / cls.block_bytes) << cls.block_bytes << " at " << offset;
    }
  }
}

TEST(SizeClass, of_an_alignment_has_all_its_blocks_aligned) {
  for (std::size_t alignment = 1; alignment <= unit_bytes; alignment *= 2) {
    for (std::size_t bytes = 1; bytes <= max_small_bytes; bytes += 7) {
      const unsigned chosen = aligned_size_class_of(bytes, alignment);
      ASSERT_LT(chosen, size_class_count);
      EXPECT_GE(size_classes[chosen].block_bytes, bytes);
      EXPECT_EQ(size_classes[chosen].block_bytes % alignment, 0u);
    }
  }
}

}  // namespace
}  // namespace cow::detail

// Huge pages behind memory files, as a machine has them where shmem_enabled says "force", and where somebody asked for
// them by madvise.
#pragma once

#include <cstddef>

#include "cow/cow.hpp"

namespace cow::model {

/// Puts a huge page behind one part of an arena's file: of its planes, or of history. False where the kernel has none
/// to give.
bool put_huge_page(const Arena& arena, std::size_t plane, bool history);

}  // namespace cow::model

// Views whose mappings go from one to the next: see books/idle_view.hpp.
#pragma once

#include "arena/mapped_view.hpp"
#include "books/arena_books.hpp"

namespace cow {

/// The view is a mapping of the version's runs, and of nothing else.
void note_shown(detail::MappedView& view, const Version& version) noexcept COW_IN_OPERATION;

/// The idle mapping for a view of a version that shows just the same frames, which are on loan; false if there is none.
bool take_idle_view(ArenaBooks& books, const Version& version, detail::MappedView& view) noexcept COW_IN_OPERATION;

/// Keeps the mapping of a view that nobody uses any more if the last one showed the same; else unmaps it. The frames
/// are on loan still.
void leave_idle_or_unmap(detail::MappedView& view) noexcept;

/// No view is going to need it.
void drop_idle_view(ArenaBooks& books) noexcept COW_IN_OPERATION;

}  // namespace cow

// Finds the process's side of a heap by the address its arena begins at: what cow::Allocator asks, since it may itself
// lie in a clone's memory, where nothing may be kept that holds for the original only.
#pragma once

#include <boost/intrusive/set_hook.hpp>

namespace cow::detail {

struct RegistryEntry {
  const void* arena_begin = nullptr;
  boost::intrusive::set_member_hook<> by_address;
  // All entries once more, from the one added last: whole at every moment, as the tree is not.
  RegistryEntry* next = nullptr;
  RegistryEntry* before = nullptr;
};

/// No lock of an arena or a heap may be held in these two. Adding twice is fine, and so is removing what was not added.
/// Adding throws std::bad_alloc if the kernel has no memory for it.
void add_to_registry(RegistryEntry& entry);
void remove_from_registry(RegistryEntry& entry) noexcept;

/// nullptr if there is none. A few nanoseconds when this thread asked for the same heap lately.
RegistryEntry* find_in_registry(const void* arena_begin) noexcept;

}  // namespace cow::detail

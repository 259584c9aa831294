// Handles of the C interface: numbers in the shape of pointers, so that what was closed is known without reading what
// may be gone. A table without locks, which fork() could leave held. Objects behind handles are owned here.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace cow::capi {

/// 4 bits of kind, never 0; 28 of index; 32 of how often the place was used.
using HandleNumber = std::uint64_t;

enum class Kind : std::uint8_t { arena = 1, snapshot, view, heap, transaction, gate, write_refusal };

/// The object behind a handle, or null if it is not open or of another kind. Three loads of shared memory and three of
/// what is nearly always in a cache.
void* find_object(HandleNumber handle, Kind kind) noexcept;

/// The word that equals the handle for as long as that is open, for what asks often; it never goes. Null if it is not.
const std::atomic<HandleNumber>* word_of(HandleNumber handle) noexcept;

/// A handle on the object, or 0 if there is no memory for one.
HandleNumber add_object(void* object, Kind kind) noexcept;

/// Closes the handle and gives the object to the caller; null for what find_object() would not know. Of several
/// closers one gets it.
void* remove_object(HandleNumber handle, Kind kind) noexcept;

}  // namespace cow::capi

// Arena::at() and View::at(): the same place in another mapping of the family, and what is wrong where there is none.
#include "cow/same_place.hpp"

#include <stdexcept>
#include <string>

#include "arena/mapped_view.hpp"
#include "arena/operation.hpp"
#include "faults/registry.hpp"
#include "words/amounts.hpp"

namespace cow::detail {
namespace {

struct Known {
  const Family* family = nullptr;
  std::string name;
};

/// Who is mapped there: both objects live, so that nobody takes their slots away meanwhile, and no lock is needed.
Known known_at(MappedRange range) COW_HELD_UNCHECKED {
  const FaultSlot* const slot = fault_registry::find(range.data);
  if (slot == nullptr) return {};
  const ArenaBooks& books = slot->books != nullptr ? *slot->books : slot->view->version->books;
  return {&books.family, (slot->books != nullptr ? "arena \"" : "a view of arena \"") + std::string(slot->name) + '"'};
}

bool inside(MappedRange range, const void* pointer, std::size_t bytes) noexcept {
  const std::size_t offset = reinterpret_cast<std::uintptr_t>(pointer) - reinterpret_cast<std::uintptr_t>(range.data);
  return offset < range.bytes && bytes <= range.bytes - offset;  // below the start it wraps round
}

[[noreturn]] void refuse(MappedRange original, MappedRange target, const void* pointer, std::size_t bytes) {
  const std::string what = "cow: at(): " + in_hex(pointer) + " (" + counted(bytes, "byte") + ") is not in " +
                           known_at(original).name + " of " + in_bytes(original.bytes) + " at " +
                           in_hex(original.data) + ", whose place in " + known_at(target).name + " was asked for";
  if (inside(target, pointer, bytes)) throw std::out_of_range(what + ", but here already: use the pointer as it is");
  throw std::out_of_range(what + "; give at() the arena or the view first that the pointer leads into");
}

}  // namespace

std::size_t offset_of_place(MappedRange original, MappedRange target, const void* pointer, std::size_t bytes) {
  if (original.data == nullptr || target.data == nullptr) {
    throw std::logic_error("cow: at(): the Arena or View was moved from or is empty; use the one that it was moved to");
  }
  if (!inside(original, pointer, bytes)) refuse(original, target, pointer, bytes);
  const Known from = known_at(original), to = known_at(target);
  if (from.family == nullptr || from.family != to.family) {
    throw std::out_of_range("cow: at(): " + from.name + " and " + to.name +
                            " are of different families: only clones and views of one arena have the same places");
  }
  return reinterpret_cast<std::uintptr_t>(pointer) - reinterpret_cast<std::uintptr_t>(original.data);
}

}  // namespace cow::detail

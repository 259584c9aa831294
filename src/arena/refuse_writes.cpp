// cow::RefuseWrites: who must not store to an arena, kept in its slot, where the handler looks.
#include "cow/refuse_writes.hpp"

#include "arena/change_barrier.hpp"
#include "arena/lifetime.hpp"
#include "arena/operation.hpp"
#include "arena/take_version.hpp"
#include "barrier/barrier.hpp"
#include "faults/registry.hpp"
#include "kernel/book_memory.hpp"

namespace cow {
namespace {

using detail::WriteRefusal;

/// Where the arena has gone meanwhile it is in nobody's list.
void take_out_of_force(WriteRefusal& refusal, FaultSlot& slot) noexcept {
  const FaultLockGuard guard(slot.lock);
  for (WriteRefusal** at = &slot.refusals; *at != nullptr; at = &(*at)->next) {
    if (*at != &refusal) continue;
    *at = refusal.next;
    return;
  }
}

/// A snapshot that nobody keeps. The refusal is in force when it has protected all, and not before: where it fails, who
/// stores meanwhile has done nothing wrong.
void begin(ArenaBooks& books, WriteRefusal& refusal) {
  Version* version = nullptr;
  while (version == nullptr) {
    const Cut cut(books, "RefuseWrites");
    const Operation operation(books);
    if (cut.has_its_hook()) version = take_version(books, &refusal);
  }
  release_version(version);
}

}  // namespace

RefuseWrites::RefuseWrites(Arena& original, By by) : refusal_(nullptr) {
  ArenaBooks& books = usable(Access::books(original), "RefuseWrites");
  keep_handlers_for(books);
  const std::uint32_t thread = by == By::this_thread ? os::thread_id() : WriteRefusal::every_thread;
  const os::Result<WriteRefusal*> refusal = book_new<WriteRefusal>(*books.slot, thread, os::process_generation());
  throw_if(refusal.error, "beginning a RefuseWrites");
  refusal_ = refusal.value;
  try {
    begin(books, *refusal_);
  } catch (...) {
    book_delete(refusal_);
    throw;
  }
}

RefuseWrites::~RefuseWrites() {
  if (refusal_->generation != os::process_generation()) return;  // a fork() child: it has nothing to do with the slot
  take_out_of_force(*refusal_, refusal_->slot);
  book_delete(refusal_);
}

}  // namespace cow

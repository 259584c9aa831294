// A change of an arena that is taken back unless it is committed.
#pragma once

#include "cow/arena.hpp"
#include "cow/export.hpp"
#include "cow/snapshot.hpp"

namespace cow {

namespace detail {
struct TransactionCalls;
}

/// The arena's content at its begin comes back when it is destroyed, also by an exception, unless commit() was called:
///
///     cow::Transaction transaction(arena);
///     change(arena);          // throws: the arena is as before
///     transaction.commit();
///
/// They nest: what an inner one has committed goes with the outer one if that is not. Inner ones end first, as scopes
/// do. Snapshots taken meanwhile stay valid. What is outside the arena is not brought back.
///
/// While one is open Arena::rollback() on its arena throws std::logic_error: it would take back, or bring back, what
/// the transaction knows nothing of. Arena::adopt() and cow::merge() are changes like others. The arena may be moved
/// meanwhile, and must not be destroyed.
///
/// Other threads' writes to the arena are taken back too, and must be quiet while it is rolled back. One object is for
/// one thread at a time. Cost: a snapshot at its begin; nothing to commit; a rollback else. In a fork() child it does
/// nothing.
class COW_API Transaction {
 public:
  /// Throws as Arena::snapshot() does.
  explicit Transaction(Arena& arena);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  /// Rolls back what is not committed, and ends inner ones that are open. Where the kernel has no memory for that (see
  /// Arena::rollback()), or the thread is inside the arena's own UpdateGate, the changes stay: who must know calls
  /// roll_back(), which throws.
  ~Transaction();

  /// What was changed since the begin stays, and inner ones that are open end with it, committed too. Nothing happens
  /// where it has ended already, or an outer one has, which took it along.
  void commit() noexcept;

  /// The content at the begin is back, and the transaction has ended. Throws std::logic_error where it has ended
  /// already, an outer one has, or an inner one is open; and as Arena::rollback(): it is open then, to be tried again.
  void roll_back();

 private:
  friend struct detail::TransactionCalls;  // for C: what an arena that was closed, and open inner ones, mean there
  void require_innermost(const char* operation) const;
  void end() noexcept;

  detail::ArenaBooks* books_ = nullptr;  // null: it has ended
  Snapshot begin_;
  Transaction* outer_ = nullptr;         // the one that was open at its begin
};

}  // namespace cow

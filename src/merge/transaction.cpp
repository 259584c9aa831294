// cow::Transaction: a snapshot, and the rollback to it. The arena knows the innermost one that is open, and each knows
// the one round it.
#include "cow/transaction.hpp"

#include <exception>
#include <stdexcept>
#include <string>

#include "arena/exclude.hpp"
#include "arena/operation.hpp"
#include "arena/rollback.hpp"

namespace cow {

/// Once it is open nothing is excluded; what another thread has excluded just before may lie in a block that the
/// version does not have: then it takes another one.
Transaction::Transaction(Arena& arena) {
  ArenaBooks& books = usable(Access::books(arena), "snapshot");
  for (;;) {
    const std::uint64_t excluded = count_excluded(books);
    begin_ = arena.snapshot();
    const Operation operation(books);
    if (!excludes_as_many(books, excluded)) continue;
    books_ = &books;
    outer_ = books.innermost.load(std::memory_order_relaxed);
    books.innermost.store(this, std::memory_order_relaxed);
    return;
  }
}

/// Those inside end with it.
void Transaction::end() noexcept {
  {
    std::atomic<Transaction*>& innermost = books_->innermost;
    const Operation operation(*books_);
    for (Transaction* open = innermost.load(std::memory_order_relaxed); open != outer_; open = open->outer_) {
      open->books_ = nullptr;
    }
    innermost.store(outer_, std::memory_order_relaxed);
  }
  begin_ = Snapshot();
}

/// Of two that are open on one arena the later one ends first.
void Transaction::require_innermost(const char* operation) const {
  if (books_->innermost.load(std::memory_order_relaxed) == this) return;
  throw std::logic_error(std::string("cow: ") + operation + " of a transaction on arena \"" + books_->name +
                         "\" while one inside it is open; commit that or roll it back first");
}

void Transaction::commit() noexcept {
  if (books_ != nullptr && of_this_process(*books_)) end();
}

void Transaction::roll_back() {
  if (books_ == nullptr) {
    throw std::logic_error("cow: roll_back of a transaction that has ended, by itself or with one round it; begin "
                           "another one");
  }
  usable(books_, "roll_back");
  require_innermost("roll_back");
  (void)roll_back_or_throw(*books_, *Access::version(begin_), {});
  end();
}

Transaction::~Transaction() {
  if (books_ == nullptr || !of_this_process(*books_)) return;
  try {
    usable(books_, "roll_back");
    (void)roll_back_or_throw(*books_, *Access::version(begin_), {});
  } catch (const std::exception&) {
    // Nobody can be told.
  }
  end();
}

}  // namespace cow

// cow::Transaction: a snapshot, and the rollback to it. The arena counts those that are open.
#include "cow/transaction.hpp"

#include <exception>
#include <stdexcept>
#include <string>

#include "arena/operation.hpp"
#include "arena/rollback.hpp"

namespace cow {

Transaction::Transaction(Arena& arena) : begin_(arena.snapshot()) {
  books_ = Access::books(arena);
  depth_ = books_->transactions.fetch_add(1, std::memory_order_relaxed) + 1;
}

bool Transaction::innermost() const noexcept { return books_->transactions.load(std::memory_order_relaxed) == depth_; }

/// Those inside have ended with it: they find fewer open than there were at their begin.
void Transaction::end() noexcept {
  books_->transactions.store(depth_ - 1, std::memory_order_relaxed);
  books_ = nullptr;
  begin_ = Snapshot();
}

/// Of two that are open on one arena the later one ends first.
void Transaction::require_innermost(const char* operation) const {
  if (innermost()) return;
  const bool ended = books_->transactions.load(std::memory_order_relaxed) < depth_;
  throw std::logic_error(std::string("cow: ") + operation + " of a transaction on arena \"" + books_->name + "\" " +
                         (ended ? "inside one that has ended, which took this one along; begin another one"
                                : "while one inside it is open; commit that or roll it back first"));
}

void Transaction::commit() noexcept {
  if (books_ == nullptr || !of_this_process(*books_)) return;
  if (books_->transactions.load(std::memory_order_relaxed) < depth_) return void(books_ = nullptr);
  end();
}

void Transaction::roll_back() {
  if (books_ == nullptr) throw std::logic_error("cow: roll_back of a transaction that has ended; begin another one");
  usable(books_, "roll_back");
  require_innermost("roll_back");
  roll_back_or_throw(*books_, *Access::version(begin_));
  end();
}

Transaction::~Transaction() {
  if (books_ == nullptr || !of_this_process(*books_)) return;
  if (books_->transactions.load(std::memory_order_relaxed) < depth_) return;  // it ended with an outer one
  try {
    usable(books_, "roll_back");
    roll_back_or_throw(*books_, *Access::version(begin_));
  } catch (const std::exception&) {
    // Nobody can be told.
  }
  end();
}

}  // namespace cow

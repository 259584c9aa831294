// A process that has few mappings left, by the library's own budget.
#pragma once

#include <cstdint>

#include "books/arena_books.hpp"

namespace cow::test {

/// While it lives, so many mappings are left.
class BudgetLeft {
 public:
  explicit BudgetLeft(std::uint64_t left) : before_(MappingBudget::limit()) {
    MappingBudget::set_limit(MappingBudget::used.load() + left);
  }
  BudgetLeft(const BudgetLeft&) = delete;
  BudgetLeft& operator=(const BudgetLeft&) = delete;
  ~BudgetLeft() { MappingBudget::set_limit(before_); }

 private:
  std::uint64_t before_;
};

}  // namespace cow::test

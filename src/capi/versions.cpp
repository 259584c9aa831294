// Difference, adopt, merge and transactions in C.
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "capi/objects.hpp"
#include "capi/values.hpp"
#include "cow/cow.h"
#include "cow/difference.hpp"
#include "cow/merge.hpp"
#include "cow/transaction.hpp"

/// A transaction without its arena.
struct cow::detail::TransactionCalls {
  static void forget_arena(Transaction& transaction) noexcept { transaction.books_ = nullptr; }
  static UpdateGate* gate(const Transaction& transaction) noexcept { return gate_of(transaction.books_); }
  static void require_innermost(const Transaction& transaction) {
    if (transaction.books_ != nullptr) transaction.require_innermost("commit");
  }
};

cow::capi::OpenTransaction::~OpenTransaction() {
  if (transaction != nullptr && !arena_is_open()) detail::TransactionCalls::forget_arena(*transaction);
}

using namespace cow::capi;

namespace {

constexpr cow_merge_options usual_options{.size = sizeof(cow_merge_options),
                                          .granule = 8,
                                          .on_conflict = COW_CONFLICT_REFUSE,
                                          .reserved = 0,
                                          .regions = nullptr,
                                          .region_count = 0};

static_assert(COW_CONFLICT_REFUSE == static_cast<int>(cow::OnConflict::refuse));
static_assert(COW_CONFLICT_TAKE_THEIRS == static_cast<int>(cow::OnConflict::take_theirs));
static_assert(COW_MERGE_BY_GRANULE == static_cast<int>(cow::MergeRule::by_granule));
static_assert(COW_MERGE_SUM_I32 == static_cast<int>(cow::MergeRule::sum_i32));
static_assert(COW_MERGE_SUM_F64 == static_cast<int>(cow::MergeRule::sum_f64));
static_assert(COW_MERGE_MAX_I64 == static_cast<int>(cow::MergeRule::max_i64));
static_assert(COW_MERGE_TAKE_THEIRS == static_cast<int>(cow::MergeRule::take_theirs));

/// How a callback ends a walk.
struct Ended {
  int with;
};

cow::MergeOptions options_of(const cow_merge_options* or_null) {
  const cow_merge_options given = read_options(or_null, usual_options);
  if (given.reserved != 0) throw Refused("the options' reserved member is not 0", E2BIG);
  const bool known = given.on_conflict >= COW_CONFLICT_REFUSE && given.on_conflict <= COW_CONFLICT_TAKE_THEIRS;
  require(known, "this library knows no such way with conflicts");
  require(given.regions != nullptr || given.region_count == 0, "the list of regions is NULL");
  cow::MergeOptions options;
  options.granule = given.granule;
  options.on_conflict = static_cast<cow::OnConflict>(given.on_conflict);
  for (const cow_merge_region& region : std::span(given.regions, given.region_count)) {
    require(region.rule >= 0 && region.rule <= COW_MERGE_TAKE_THEIRS, "this library knows no such rule");
    if (region.reserved != 0) throw Refused("a region's reserved member is not 0", E2BIG);
    options.regions.push_back({region.offset, region.bytes, static_cast<cow::MergeRule>(region.rule)});
  }
  return options;
}

/// Cannot fail: the merge is done. Without memory for the list there is only its length.
void tell(cow_merge_report* report, const cow::MergeReport& merged) noexcept {
  if (report == nullptr) return;
  cow_merge_report told{};
  told.pages_taken = merged.pages_taken;
  told.pages_merged = merged.pages_merged;
  told.bytes_changed = merged.bytes_changed;
  told.conflict_count = merged.conflicts.size();
  if (told.conflict_count != 0) {
    told.conflicts = static_cast<cow_byte_range*>(std::calloc(told.conflict_count, sizeof(cow_byte_range)));
  }
  for (std::size_t i = 0; told.conflicts != nullptr && i < told.conflict_count; ++i) {
    told.conflicts[i] = {merged.conflicts[i].offset, merged.conflicts[i].bytes};
  }
  write_result(report, told);
}

}  // namespace

int cow_changed_between(const cow_snapshot* a, const cow_snapshot* b, cow_page_range** ranges,
                        std::size_t* count) noexcept {
  return listing(__func__, ranges, count, [&] { return cow::changed_between(use(a), use(b)); });
}

int cow_for_each_difference(const cow_snapshot* a, const cow_snapshot* b, std::size_t granule,
                            int (*call)(void*, std::size_t, const void*, const void*, std::size_t),
                            void* context) noexcept {
  int ended = 0;
  const int error = guarded(__func__, [&] {
    const cow::Snapshot before = use(a), after = use(b);  // the callback may close the handles
    require(call != nullptr, "the function to call is NULL");
    try {
      cow::for_each_difference(
          before, after,
          [&](const cow::Difference& found) {
            const int with = call(context, found.offset, found.before.data(), found.after.data(), found.before.size());
            if (with != 0) throw Ended{with};
          },
          granule);
    } catch (const Ended& by_the_callback) {
      ended = by_the_callback.with;
    }
  });
  return error != 0 ? error : ended;
}

int cow_arena_adopt(cow_arena* arena, const cow_snapshot* version) noexcept {
  return guarded(__func__, [&] { use_to_cut(arena).adopt(use(version)); });
}

void cow_merge_options_init(cow_merge_options* options) noexcept {
  if (options != nullptr) *options = usual_options;
}

int cow_arena_merge(cow_arena* into, const cow_snapshot* base, const cow_snapshot* theirs,
                    const cow_merge_options* or_null, cow_merge_report* report) noexcept {
  return guarded(__func__, [&] {
    cow::Arena& arena = use_to_cut(into);
    const cow::Snapshot &from = use(base), &other = use(theirs);
    if (report != nullptr) check_result(report);
    const cow::MergeOptions options = options_of(or_null);
    const cow::MergeReport merged = cow::merge(arena, from, other, options);
    tell(report, merged);
    const bool refused = options.on_conflict == cow::OnConflict::refuse && !merged.conflicts.empty();
    if (refused) throw Refused("both sides changed the same bytes, and conflicts are to be refused", ECANCELED);
  });
}

int cow_transaction_begin(cow_arena* arena, cow_transaction** transaction) noexcept {
  return opening(__func__, transaction, [&] {
    return OpenTransaction(arena, std::make_unique<cow::Transaction>(use_to_cut(arena)));
  });
}

int cow_transaction_commit(cow_transaction* transaction) noexcept {
  return guarded(__func__, [&] {
    cow::Transaction& open = *use(transaction).transaction;
    cow::detail::TransactionCalls::require_innermost(open);
    open.commit();
    take(transaction);
  });
}

int cow_transaction_roll_back(cow_transaction* transaction) noexcept {
  return guarded(__func__, [&] {
    cow::Transaction& open = *use(transaction).transaction;
    require_outside(cow::detail::TransactionCalls::gate(open));
    open.roll_back();
    take(transaction);
  });
}

void cow_transaction_close(cow_transaction* transaction) noexcept { close(transaction); }

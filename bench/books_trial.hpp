// Bytes of bookkeeping for the pages touched, in percent of those pages. Levels, not times.
#pragma once

#include <vector>

#include "competitors/cow_arena.hpp"
#include "setting.hpp"
#include "trial.hpp"

namespace bench {

/// The setting's writes are the pages touched, all of them written again after a snapshot that is kept:
/// its log is part of the books.
template <cow::Barrier kind>
class BooksTrial : public Trial {
 public:
  BooksTrial(const Setting& setting, std::uint64_t seed)
      : arena_(make_arena(setting.bytes, kind)),
        workload_(setting.pattern, setting.bytes / cow::page_size(), setting.writes, seed) {
    const auto pages = workload_.next();
    for (const Page page : pages) store_word(arena_.data(), page, 1);
    snapshot_ = arena_.snapshot();
    for (const Page page : pages) store_word(arena_.data(), page, 2);
  }

  void check() override {
    if (arena_.stats().pages_private < workload_.distinct()) throw WrongAnswer("the statistics miss pages written");
  }

  Sample cycle() override {
    const auto books = static_cast<double>(arena_.stats().bookkeeping_bytes);
    Sample sample;
    sample[Part::first_writes] = static_cast<double>(workload_.distinct());
    sample[Part::level] = 100 * books / (sample[Part::first_writes] * static_cast<double>(cow::page_size()));
    return sample;
  }

 private:
  cow::Arena arena_;
  Workload workload_;
  cow::Snapshot snapshot_;
};

}  // namespace bench

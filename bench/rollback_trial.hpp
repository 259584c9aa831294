// The rollback loop: dirty some pages, put them back. The same for each competitor. With the same pages each time all
// iterations go back to one saved content; with others each time, to one saved just before, untimed.
#pragma once

#include <vector>

#include "competitors/restorer.hpp"
#include "trial.hpp"

namespace bench {

template <class R>
class RollbackTrial : public Trial {
 public:
  RollbackTrial(const Setting& setting, std::uint64_t seed)
      : pages_(setting.bytes / cow::page_size()), save_each_time_(setting.pattern != Pattern::runs),
        restorer_(setting.bytes),
        workload_(setting.pattern, pages_, setting.writes, seed) {
    for (Page page = 0; page < pages_; ++page) store_word(restorer_.data(), page, content(page));
    restorer_.save();
  }

  void check() override {
    for (int i = 0; i < 3; ++i) {
      cycle();
      for (Page page = 0; page < pages_; ++page) {
        if (load_word(restorer_.data(), page) != content(page)) throw WrongAnswer("not all content was put back");
      }
    }
  }

  Sample cycle() override {
    const auto pages = workload_.next();
    Sample sample;
    sample[Part::first_writes] = static_cast<double>(pages.size());
    Stopwatch watch;
    if constexpr (Restorer<R>) {
      if (save_each_time_) restorer_.save();
      watch.lap_ns();
      for (const Page page : pages) store_word(restorer_.data(), page, ++stamp_);
      sample[Part::writes] = watch.lap_ns();
      restorer_.restore(pages);
      sample[Part::restore] = watch.lap_ns();
      sample[Part::total] = sample[Part::writes] + sample[Part::restore];
    } else {
      restorer_.iterate(pages, ++stamp_);
      sample[Part::total] = watch.lap_ns();
    }
    return sample;
  }

  std::string note() const override {
    if constexpr (requires(const R& r) { r.note(); }) {
      return restorer_.note();
    } else {
      return {};
    }
  }

 private:
  static std::uint64_t content(Page page) noexcept { return ~std::uint64_t{page}; }

  std::size_t pages_;
  bool save_each_time_;
  R restorer_;
  Workload workload_;
  std::uint64_t stamp_ = 0;
};

}  // namespace bench

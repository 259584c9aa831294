// Copies of each version: take a version and open copies of it, write the heap, write each copy a little, let them go.
// The same for each competitor.
#pragma once

#include <vector>

#include "competitors/what_if.hpp"
#include "trial.hpp"
#include "workload.hpp"

namespace bench {

/// The setting's writes are the heap's own; each of `alive` copies of the version writes a tenth as many pages.
template <WhatIf C>
class WhatIfTrial : public Trial {
 public:
  WhatIfTrial(const Setting& setting, std::uint64_t seed)
      : copies_(setting.alive), pages_(setting.bytes / cow::page_size()), competitor_(setting.bytes),
        workload_(setting.pattern, pages_, setting.writes, seed),
        in_copies_(Pattern::uniform, pages_, setting.writes / 10, seed + 1) {
    for (Page page = 0; page < pages_; ++page) store_word(competitor_.data(), page, page);
  }

  void check() override {
    for (int round = 0; round < 3; ++round) {
      std::vector<std::uint64_t> before(pages_);
      for (Page page = 0; page < pages_; ++page) before[page] = load_word(competitor_.data(), page);
      open();
      const std::size_t step = std::max<std::size_t>(1, pages_ / pages_checked);
      for (std::size_t page = 0; page < pages_; page += step) expect_old(static_cast<Page>(page), before);
      const std::size_t every = 1 + written_.size() / pages_checked;
      for (std::size_t i = 0; i < written_.size(); i += every) expect_old(written_[i], before);
      for (const Page page : written_) before[page] = stamp_;
      competitor_.use_and_drop(in_copy_, stamp_ + 1);
      for (Page page = 0; page < pages_; ++page) {
        if (load_word(competitor_.data(), page) != before[page]) throw WrongAnswer("a copy's write shows in the heap");
      }
    }
  }

  Sample cycle() override {
    Sample sample = open();
    Stopwatch watch;
    competitor_.use_and_drop(in_copy_, stamp_ + 1);
    sample[Part::drop] = watch.lap_ns();
    sample[Part::total] = sample[Part::snapshot] + sample[Part::writes] + sample[Part::drop];
    return sample;
  }

  std::string note() const override {
    if constexpr (requires(const C& c) { c.note(); }) {
      return competitor_.note();
    } else {
      return {};
    }
  }

 private:
  static constexpr std::size_t pages_checked = 2000;

  Sample open() {
    written_ = workload_.next();
    in_copy_ = in_copies_.next();
    stamp_ += 2;
    Sample sample;
    Stopwatch watch;
    competitor_.open(copies_, in_copy_, stamp_ + 1);
    sample[Part::snapshot] = watch.lap_ns();
    for (const Page page : written_) store_word(competitor_.data(), page, stamp_);
    sample[Part::writes] = watch.lap_ns();
    sample[Part::first_writes] = static_cast<double>(workload_.distinct());
    return sample;
  }

  void expect_old(Page page, const std::vector<std::uint64_t>& before) {
    if (competitor_.word_in_copy(page) != before[page]) throw WrongAnswer("a copy shows a write made after it");
  }

  unsigned copies_;
  std::size_t pages_;
  C competitor_;
  Workload workload_, in_copies_;
  std::span<const Page> written_, in_copy_;
  std::uint64_t stamp_ = 1'000'000'000;
};

}  // namespace bench

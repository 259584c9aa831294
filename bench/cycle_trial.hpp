// The cycle: drop the oldest snapshot, take one, write. The same for each competitor.
#pragma once

#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include "competitors/competitor.hpp"
#include "trial.hpp"
#include "writers.hpp"

namespace bench {

template <Competitor C>
class CycleTrial : public Trial {
 public:
  CycleTrial(const Setting& setting, std::uint64_t seed)
      : setting_(setting), pages_(setting.bytes / cow::page_size()), competitor_(setting.bytes),
        workload_(setting.pattern, pages_, setting.writes, seed), writers_(setting.threads) {
    if (setting.alive > 1 && !C::many) throw NotAvailable("keeps one snapshot only");
    std::vector<Page> all(pages_);
    std::iota(all.begin(), all.end(), Page{0});
    for (const Page page : all) store_word(competitor_.data(), page, ~std::uint64_t{page});
    competitor_.settle();
    competitor_.snapshot(all);
    alive_ = 1;
  }

  void check() override {
    while (alive_ < setting_.alive) cycle();
    const int cycles = setting_.writes > 100'000 ? 1 : 3;
    for (int i = 0; i < cycles; ++i) check_one();
  }

  Sample cycle() override {
    const auto pages = workload_.next();
    Sample sample;
    Stopwatch watch;
    if (alive_ == setting_.alive) {
      competitor_.drop();
      --alive_;
    }
    sample[Part::drop] = watch.lap_ns();
    competitor_.settle();
    watch.lap_ns();
    competitor_.snapshot(written_);
    ++alive_;
    sample[Part::snapshot] = watch.lap_ns();
    write(pages, ++stamp_);
    sample[Part::writes] = watch.lap_ns();
    sample[Part::first_writes] = static_cast<double>(workload_.distinct());
    sample[Part::total] = sample[Part::snapshot] + sample[Part::writes] + (C::drop_counts ? sample[Part::drop] : 0);
    written_.assign(pages.begin(), pages.end());
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
  void write(std::span<const Page> pages, std::uint64_t value) {
    if constexpr (requires(C& c) { c.write(pages, value); }) {
      competitor_.write(pages, value);
    } else {
      writers_.write(competitor_.data(), pages, value);
    }
  }

  static constexpr std::size_t pages_checked = 2000;  // of each kind; some competitors search a log for each

  // Which pages a cycle will write is not known before it, so it looks at the whole heap as it was.
  void check_one() {
    std::vector<std::uint64_t> before(pages_);
    for (Page page = 0; page < pages_; ++page) before[page] = load_word(competitor_.data(), page);
    cycle();
    const std::size_t step = std::max<std::size_t>(1, written_.size() / pages_checked);
    for (std::size_t i = 0; i < written_.size(); i += step) {
      expect(load_word(competitor_.data(), written_[i]) == stamp_, "the heap lost a write");
      expect(competitor_.old_word(written_[i]) == before[written_[i]], "the snapshot shows a write made after it");
    }
    for (std::size_t page = 0; page < pages_; page += std::max<std::size_t>(1, pages_ / pages_checked)) {
      expect(competitor_.old_word(static_cast<Page>(page)) == before[page], "the snapshot lost content");
    }
    std::vector<bool> wrote(pages_);
    for (const Page page : written_) wrote[page] = true;
    for (Page page = 0; page < pages_; ++page) {
      if (!wrote[page]) expect(load_word(competitor_.data(), page) == before[page], "the heap changed by itself");
    }
  }

  static void expect(bool holds, const char* otherwise) {
    if (!holds) throw WrongAnswer(otherwise);
  }

  Setting setting_;
  std::size_t pages_;
  C competitor_;
  Workload workload_;
  Writers writers_;
  std::vector<Page> written_;  // in the last cycle
  std::uint64_t stamp_ = 0;
  unsigned alive_ = 0;
};

}  // namespace bench

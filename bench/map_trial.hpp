// The ordered map: a snapshot, random updates, reads of the old. The same for each competitor.
#pragma once

#include <algorithm>
#include <random>
#include <unordered_map>
#include <vector>

#include "competitors/ordered_map.hpp"
#include "setting.hpp"
#include "trial.hpp"

namespace bench {

/// The setting's bytes count 64 an entry, its writes are the updates and as many reads.
inline constexpr std::size_t map_entry_bytes = 64;

template <OrderedMap M>
class MapTrial : public Trial {
 public:
  // Keys are computed, never kept: memory beside the map would slow fork() down.
  MapTrial(const Setting& setting, std::uint64_t seed)
      : random_(seed), entries_(setting.bytes / map_entry_bytes), map_(shuffled_keys()), updates_(setting.writes),
        reads_(setting.writes) {}

  void check() override {
    for (int i = 0; i < cycles_to_warm; ++i) {
      choose();
      const std::uint64_t old_sum = expected_sum();
      run();
      for (const Update& update : updates_) changed_[update.key] = update.value;
      expect(last_sum_ == old_sum, "the snapshot does not show the old values");
      expect(map_.read_new(reads_) == expected_sum(), "the map does not show the new values");
    }
  }

  Sample cycle() override {
    choose();
    return run();
  }

  std::string note() const override {
    if constexpr (requires(const M& m) { m.note(); }) {
      return map_.note();
    } else {
      return {};
    }
  }

 private:
  static constexpr int cycles_to_warm = 30;  // in which random updates reach nine pages in ten

  static Key key_at(std::size_t rank) noexcept { return (rank + 1) * 7919; }

  std::vector<Key> shuffled_keys() {
    std::vector<Key> keys(entries_);
    for (std::size_t i = 0; i < entries_; ++i) keys[i] = key_at(i);
    std::shuffle(keys.begin(), keys.end(), random_);
    return keys;
  }

  static void expect(bool holds, const char* otherwise) {
    if (!holds) throw WrongAnswer(otherwise);
  }

  // Half of the keys read are among those updated: there old and new differ.
  void choose() {
    for (std::size_t i = 0; i < updates_.size(); ++i) {
      updates_[i] = {key_at(random_() % entries_), random_()};
      reads_[i] = i % 2 == 0 ? updates_[i].key : key_at(random_() % entries_);
    }
  }

  Sample run() {
    Sample sample;
    Stopwatch watch;
    map_.drop();
    sample[Part::drop] = watch.lap_ns();
    map_.snapshot();
    sample[Part::snapshot] = watch.lap_ns();
    map_.update(updates_);
    sample[Part::writes] = watch.lap_ns();
    const Reading reading = map_.read_old(reads_);
    sample[Part::reads] = reading.ns;
    last_sum_ = reading.sum;
    sample[Part::first_writes] = static_cast<double>(updates_.size());
    sample[Part::total] = sample[Part::snapshot] + sample[Part::writes] + sample[Part::reads] +
                          (M::drop_counts ? sample[Part::drop] : 0);
    return sample;
  }

  // Of the keys to read, by what the checked cycles did so far: each key starts with itself as value.
  std::uint64_t expected_sum() const {
    std::uint64_t sum = 0;
    for (const Key key : reads_) {
      const auto changed = changed_.find(key);
      sum += changed == changed_.end() ? key : changed->second;
    }
    return sum;
  }

  std::mt19937_64 random_;
  std::size_t entries_;
  M map_;
  std::vector<Update> updates_;
  std::vector<Key> reads_;
  std::unordered_map<Key, std::uint64_t> changed_;
  std::uint64_t last_sum_ = 0;
};

}  // namespace bench

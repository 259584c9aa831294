// What was measured: samples by competitor and setting. Keeps and finds; judges nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "measure.hpp"
#include "setting.hpp"

namespace bench {

struct Row {
  std::string stage;
  std::string competitor;
  Setting setting;
  std::vector<Sample> samples{};  // one a round
  std::string note{};
  bool wrong = false;

  /// The median, or another quantile, over the rounds; NaN for a part that was not measured.
  double at(Part part, double share = 0.5) const {
    std::vector<double> values;
    for (const Sample& sample : samples) {
      if (!std::isnan(sample[part])) values.push_back(sample[part]);
    }
    return quantile(std::move(values), share);
  }

  /// What one of the writes cost that were the first to their page, all writes counted into them.
  double first_write_ns() const {
    const double count = at(Part::first_writes);
    return count > 0 ? at(Part::writes) / count : std::numeric_limits<double>::quiet_NaN();
  }
};

class Results {
 public:
  void add(Row row) { rows_.push_back(std::move(row)); }
  const std::vector<Row>& rows() const noexcept { return rows_; }

  /// The median; NaN if it was not measured. Where two stages measured it, the first.
  double median(std::string_view competitor, const Setting& setting, Part part) const {
    for (const Row& row : rows_) {
      if (row.competitor == competitor && row.setting == setting && !row.samples.empty()) return row.at(part);
    }
    return std::numeric_limits<double>::quiet_NaN();
  }

 private:
  std::vector<Row> rows_;
};

}  // namespace bench

// Generators of page lists.
#include "workload.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace bench {
namespace {

constexpr double zipf_exponent = 0.99;
constexpr std::size_t run_length = 4;

double zeta(std::size_t count) {
  double sum = 0;
  for (std::size_t i = 1; i <= count; ++i) sum += std::pow(1.0 / static_cast<double>(i), zipf_exponent);
  return sum;
}

}  // namespace

Permutation::Permutation(std::size_t count, std::uint64_t key) noexcept
    : count_(count), mask_(std::bit_ceil(std::max<std::size_t>(count, 2)) - 1), key_(key | 1),
      shift_(static_cast<unsigned>(std::bit_width(mask_) + 1) / 2) {}

// Each step is a bijection on the bits of the mask: adding, multiplying by an odd number, folding high bits down.
std::uint64_t Permutation::mix(std::uint64_t value) const noexcept {
  for (unsigned round = 0; round < 3; ++round) {
    value = (value + (key_ >> (round * 7))) & mask_;
    value = (value * 0x9E3779B97F4A7C15ULL) & mask_;
    value ^= value >> shift_;
  }
  return value;
}

Page Permutation::operator()(std::size_t index) const noexcept {
  std::uint64_t value = mix(index);
  while (value >= count_) value = mix(value);
  return static_cast<Page>(value);
}

Zipf::Zipf(std::size_t count)
    : count_(static_cast<double>(count)), zeta_(zeta(count)), alpha_(1 / (1 - zipf_exponent)),
      eta_((1 - std::pow(2 / count_, 1 - zipf_exponent)) / (1 - zeta(2) / zeta_)) {}

std::size_t Zipf::operator()(std::mt19937_64& random) const {
  const double u = std::uniform_real_distribution<double>(0, 1)(random);
  if (u * zeta_ < 1) return 0;
  if (u * zeta_ < 1 + std::pow(0.5, zipf_exponent)) return 1;
  const double rank = count_ * std::pow(eta_ * u - eta_ + 1, alpha_);
  return static_cast<std::size_t>(std::min(rank, count_ - 1));
}

Workload::Workload(Pattern pattern, std::size_t pages, std::size_t writes, std::uint64_t seed)
    : pattern_(pattern), pages_(pages), random_(seed), scatter_(pages, seed),
      zipf_(pattern == Pattern::zipf ? pages : 2), list_(pattern == Pattern::zipf ? writes : std::min(writes, pages)),
      last_seen_(pattern == Pattern::zipf ? pages : 0), distinct_(list_.size()) {
  if (pattern != Pattern::runs) return;
  const Permutation places(pages_ / run_length, seed);
  for (std::size_t i = 0; i < list_.size(); ++i) {
    list_[i] = static_cast<Page>(places(i / run_length) * run_length + i % run_length);
  }
}

std::span<const Page> Workload::next() {
  if (pattern_ == Pattern::sequential) {
    const std::size_t first = random_() % (pages_ - list_.size() + 1);
    for (std::size_t i = 0; i < list_.size(); ++i) list_[i] = static_cast<Page>(first + i);
  } else if (pattern_ == Pattern::uniform) {
    const Permutation order(pages_, random_());
    for (std::size_t i = 0; i < list_.size(); ++i) list_[i] = order(i);
  } else if (pattern_ == Pattern::hot) {
    const Permutation order(std::min(list_.size() * hot_share, pages_), random_());
    for (std::size_t i = 0; i < list_.size(); ++i) list_[i] = scatter_(order(i));
  } else if (pattern_ == Pattern::zipf) {
    fill_zipf();
  }
  return list_;
}

void Workload::fill_zipf() {
  ++cycle_;
  distinct_ = 0;
  for (Page& page : list_) {
    page = scatter_(zipf_(random_));
    distinct_ += last_seen_[page] != cycle_;
    last_seen_[page] = cycle_;
  }
}

}  // namespace bench

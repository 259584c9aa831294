// See files/version_source.hpp.
#include "files/version_source.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "arena/operation.hpp"
#include "arena/version_reader.hpp"
#include "files/error.hpp"
#include "heap/layout.hpp"
#include "kernel/disk.hpp"

namespace cow::files {
namespace {

bool same_runs(const RunList& a, const RunList& b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Run& one, const Run& two) {
    return one.first == two.first && one.count == two.count && one.frame == two.frame;
  });
}

RunList listed(Version& version, const std::string& doing) {
  RunList runs;
  fail_if(list_content(version, runs), doing);
  return runs;
}

/// A number of this process alone, also among its fork() children.
Id process_id(const std::string& doing) {
  struct Known {
    std::uint64_t generation;
    Id id;
  };
  static std::atomic<const Known*> known{nullptr};  // never freed: one for each process of a line of children
  const Known* now = known.load(std::memory_order_acquire);
  if (now != nullptr && now->generation == os::process_generation()) return now->id;
  auto* const made = new Known{os::process_generation(), {}};
  os::Error error = os::random_bytes(made->id.data(), made->id.size());
  if (!error && known.compare_exchange_strong(now, made, std::memory_order_acq_rel)) return made->id;
  delete made;
  fail_if(error, doing);
  return process_id(doing);
}

void add_pages(std::vector<Pages>& runs, Page first, Page end) {
  if (first >= end) return;
  if (!runs.empty() && runs.back().end() == first) {
    runs.back().count += end - first;
  } else {
    runs.push_back({first, end - first});
  }
}

/// Pages that two lists show in different frames, or only one of them.
std::vector<Pages> pages_that_differ(const RunList& a, const RunList& b) {
  std::vector<Pages> runs;
  const Run* one = a.begin();
  const Run* two = b.begin();
  for (Page at{0}; one != a.end() || two != b.end();) {
    if (one != a.end() && one->end() <= at) {
      ++one;
      continue;
    }
    if (two != b.end() && two->end() <= at) {
      ++two;
      continue;
    }
    constexpr Page never{~std::uint64_t{0}};
    const Page one_first = one == a.end() ? never : one->first, two_first = two == b.end() ? never : two->first;
    at = std::max(at, std::min(one_first, two_first));
    const bool in_one = one_first <= at, in_two = two_first <= at;
    Page end = never;
    end = std::min(end, in_one ? one->end() : one_first);
    end = std::min(end, in_two ? two->end() : two_first);
    if (!(in_one && in_two && one->frame_of(at) == two->frame_of(at))) add_pages(runs, at, end);
    at = end;
  }
  return runs;
}

bool is_zero(std::span<const std::byte> page) noexcept {
  constexpr std::size_t step = 64;
  for (std::size_t i = 0; i < page.size(); i += step) {
    std::uint64_t words[step / 8], any = 0;
    std::memcpy(words, page.data() + i, step);
    for (const std::uint64_t word : words) any |= word;
    if (any != 0) return false;
  }
  return true;
}

}  // namespace

Id content_of(Version& version, const std::string& doing) {
  const Family& family = version.books.family;
  if (!family.loaded_from.runs.empty() && same_runs(listed(version, doing), family.loaded_from.runs)) {
    return family.loaded_from.content;
  }
  std::byte text[32];
  const Id process = process_id(doing);
  std::memcpy(text, process.data(), process.size());
  std::memcpy(text + 16, &family.serial, 8);
  std::memcpy(text + 24, &version.name, 8);
  return fingerprint(text);
}

Head head_of(Version& version, const std::string& doing) {
  const ArenaBooks& books = version.books;
  Head head;
  head.page_bytes = books.bytes(1);
  head.capacity = books.bytes(books.pages);
  head.address = reinterpret_cast<std::uintptr_t>(books.base);
  head.content = content_of(version, doing);
  head.name = books.name;
  std::vector<std::byte> page(books.bytes(1));
  fail_if(read_pages(version, {{0}, 1}, page.data()), doing);
  detail::Header heap;
  std::memcpy(static_cast<void*>(&heap), page.data(), sizeof heap);
  if (heap.magic == detail::heap_magic) {
    head.heap_version = heap.version;
    head.heap_root = heap.root;
    head.heap_root_type = heap.root_type;
  }
  return head;
}

std::vector<Pages> pages_to_look_at(Version& version, Version* since, const std::string& doing) {
  const RunList runs = listed(version, doing);
  return pages_that_differ(runs, since == nullptr ? RunList() : listed(*since, doing));
}

PageLook::PageLook(Version& version, Version* since, std::string doing)
    : version_(version), since_(since), doing_(std::move(doing)), now_(version.books.bytes(pages_at_once())) {
  if (since != nullptr) then_.resize(now_.size());
}

void PageLook::copy(Pages run) {
  leave();
  at_ = now_.data();
  fail_if(read_pages(version_, run, now_.data()), doing_);
}

bool PageLook::look_in_place(Pages run) {
  place_.emplace(version_, run);
  at_ = place_->data();
  if (at_ == nullptr) return false;
  for (std::uint64_t i = 0; i < run.count; ++i) {
    const auto page = content(i, 1);
    news_[i] = is_zero(page) ? PageNews::nothing : PageNews::content;
    if (news_[i] == PageNews::content) sums_[i] = checksum(page);
  }
  return still();
}

bool PageLook::still() noexcept {
  if (!place_ || place_->still()) return true;
  --trials_;
  return false;
}

std::span<const PageNews> PageLook::look(Pages run, bool in_place) {
  if (in_place && since_ == nullptr && trials_ > 0 && look_in_place(run)) return {news_, run.count};
  copy(run);
  if (since_ != nullptr) fail_if(read_pages(*since_, run, then_.data()), doing_);
  const std::size_t page = version_.books.bytes(1);
  for (std::uint64_t i = 0; i < run.count; ++i) {
    const auto now = content(i, 1);
    const bool same = since_ != nullptr && std::memcmp(now.data(), then_.data() + i * page, page) == 0;
    const bool zeros = !same && is_zero(now);
    news_[i] = same || (zeros && since_ == nullptr) ? PageNews::nothing : zeros ? PageNews::zeros : PageNews::content;
  }
  return {news_, run.count};
}

std::span<const std::byte> PageLook::content(std::uint64_t first, std::uint64_t count) const noexcept {
  const std::size_t page = version_.books.bytes(1);
  return {at_ + first * page, count * page};
}

std::span<const std::uint64_t> PageLook::sums(std::uint64_t first, std::uint64_t count) const noexcept {
  if (!place_) return {};
  return {sums_ + first, count};
}

}  // namespace cow::files

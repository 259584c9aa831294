// Competitor: userfaultfd write-protection handled in the faulting thread by SIGBUS, with as little around it as can
// be: one snapshot, no clones, a fixed place for each before-image. The floor for a barrier of this kind.
#pragma once

#include <atomic>
#include <cstring>
#include <vector>

#include "competitors/competitor.hpp"
#include "competitors/signal_handler.hpp"
#include "competitors/userfault.hpp"

namespace bench {

class RawUserfaultfd {
 public:
  static constexpr std::string_view label = "raw userfaultfd";
  static constexpr bool drop_counts = true, many = false;

  explicit RawUserfaultfd(std::size_t bytes)
      : heap_(anonymous_memory(bytes)), history_(anonymous_memory(bytes)), log_(bytes / cow::page_size()),
        userfault_(heap_.data(), bytes) {
    current_ = this;
    handle_faults(SIGBUS, on_fault);
  }
  ~RawUserfaultfd() { ::signal(SIGBUS, SIG_DFL); }

  std::byte* data() noexcept { return heap_.data(); }
  void drop() {}
  void settle() {}

  /// Protects what the log says is writable: page by page while that is cheaper than one sweep of all.
  void snapshot(std::span<const Page>) {
    const std::size_t page_bytes = cow::page_size();
    const std::size_t logged = used_.exchange(0);
    if (!protected_before_ || logged > log_.size() / sweep_share) {
      if (!userfault_.protect(heap_.data(), heap_.size(), true)) throw_errno("UFFDIO_WRITEPROTECT of the whole heap");
      protected_before_ = true;
      return;
    }
    for (std::size_t i = 0; i < logged; ++i) {
      const std::byte* const address = heap_.data() + log_[i] * page_bytes;
      if (!userfault_.protect(address, page_bytes, true)) throw_errno("UFFDIO_WRITEPROTECT");
    }
  }

  std::uint64_t old_word(Page page) const {
    for (std::size_t i = 0; i < used_; ++i) {
      if (log_[i] != page) continue;
      std::uint64_t word = 0;
      std::memcpy(&word, before_image(i) + word_offset(page) % cow::page_size(), sizeof word);
      return word;
    }
    return load_word(heap_.data(), page);
  }

 private:
  static constexpr std::size_t sweep_share = 64;  // a sweep costs about 5 ns a page, a call about 300 ns

  std::byte* before_image(std::size_t index) const noexcept { return history_.data() + index * cow::page_size(); }

  static void on_fault(int, siginfo_t* info, void*) {
    const auto* address = static_cast<const std::byte*>(info->si_addr);
    const std::byte* base = current_->heap_.data();
    if (address < base || address >= base + current_->heap_.size()) {
      ::signal(SIGBUS, SIG_DFL);
      return;
    }
    current_->save(static_cast<Page>(static_cast<std::size_t>(address - base) / cow::page_size()));
  }

  // Two threads that write the same page at once would both save it; the benchmark's threads never share pages.
  void save(Page page) noexcept {
    const std::size_t page_bytes = cow::page_size();
    const std::size_t index = used_.fetch_add(1);
    std::byte* const address = heap_.data() + page * page_bytes;
    std::memcpy(before_image(index), address, page_bytes);
    log_[index] = page;
    if (!userfault_.protect(address, page_bytes, false)) give_up("UFFDIO_WRITEPROTECT failed");
  }

  static inline RawUserfaultfd* current_ = nullptr;  // for the handler

  Mapping heap_, history_;
  std::vector<Page> log_;
  std::atomic<std::size_t> used_ = 0;
  bool protected_before_ = false;
  Userfault userfault_;
};
static_assert(Competitor<RawUserfaultfd>);

}  // namespace bench

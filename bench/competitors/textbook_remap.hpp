// Competitor: the textbook way in a SIGSEGV handler. The heap is a shared memfd mapping; a first write copies the page
// to a free frame of the file and maps that frame in its place. Simple, and each such page splits the mapping.
#pragma once

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "competitors/competitor.hpp"
#include "competitors/signal_handler.hpp"
#include "trial.hpp"

namespace bench {

class TextbookRemap {
 public:
  static constexpr std::string_view label = "textbook remap";
  static constexpr bool drop_counts = true, many = false;

  explicit TextbookRemap(std::size_t bytes)
      : pages_(bytes / cow::page_size()), file_(2 * bytes),
        alias_(2 * bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file_.descriptor()),
        heap_(bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file_.descriptor()), frame_(pages_),
        free_(pages_) {
    std::iota(frame_.begin(), frame_.end(), Page{0});
    std::iota(free_.rbegin(), free_.rend(), static_cast<Page>(pages_));  // the lowest on top
    log_.reserve(pages_);
    current_ = this;
    handle_faults(SIGSEGV, on_fault);
  }
  ~TextbookRemap() { ::signal(SIGSEGV, SIG_DFL); }

  std::byte* data() noexcept { return heap_.data(); }

  void drop() {
    for (const Moved& moved : log_) free_.push_back(moved.old_frame);
    log_.clear();
  }
  void settle() {}
  void snapshot(std::span<const Page>) {
    if (::mprotect(heap_.data(), heap_.size(), PROT_READ) != 0) throw_errno("mprotect of the whole heap");
  }
  std::uint64_t old_word(Page page) const {
    const auto moved = std::find_if(log_.begin(), log_.end(), [page](const Moved& m) { return m.page == page; });
    const Page frame = moved == log_.end() ? frame_[page] : moved->old_frame;
    std::uint64_t word = 0;
    std::memcpy(&word, at_frame(frame) + word_offset(page) % cow::page_size(), sizeof word);
    return word;
  }

 private:
  struct Moved {
    Page page, old_frame;
  };

  std::byte* at_frame(Page frame) const noexcept { return alias_.data() + frame * cow::page_size(); }

  static void on_fault(int, siginfo_t* info, void*) {
    const auto* address = static_cast<const std::byte*>(info->si_addr);
    const std::byte* base = current_->heap_.data();
    if (address < base || address >= base + current_->heap_.size()) {
      ::signal(SIGSEGV, SIG_DFL);
      return;
    }
    current_->move(static_cast<Page>(static_cast<std::size_t>(address - base) / cow::page_size()));
  }

  void move(Page page) {
    const std::size_t page_bytes = cow::page_size();
    const Page frame = free_.back();
    free_.pop_back();
    std::byte* const address = heap_.data() + page * page_bytes;
    std::memcpy(at_frame(frame), address, page_bytes);
    const auto offset = static_cast<off_t>(frame * page_bytes);
    if (::mmap(address, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file_.descriptor(), offset) ==
        MAP_FAILED) {
      give_up("out of mappings");
    }
    log_.push_back({page, frame_[page]});
    frame_[page] = frame;
  }

  static inline TextbookRemap* current_ = nullptr;  // for the handler

  std::size_t pages_;
  MemoryFile file_;
  Mapping alias_, heap_;
  std::vector<Page> frame_;  // by page
  std::vector<Page> free_;
  std::vector<Moved> log_;   // of the one snapshot
};
static_assert(Competitor<TextbookRemap>);

}  // namespace bench

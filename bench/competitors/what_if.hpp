// The concept of a heap whose versions are copied to try something in them, and who meets it: fork() with reaping, and
// this library's clones and views. Measures nothing.
#pragma once

#include <sys/uio.h>
#include <sys/wait.h>

#include <deque>
#include <vector>

#include "bound_child.hpp"
#include "competitors/cow_arena.hpp"
#include "competitors/memory.hpp"

namespace bench {

/// Everything is timed.
template <class C>
concept WhatIf = std::constructible_from<C, std::size_t> && requires(C c, Page page, std::span<const Page> pages) {
  { C::label } -> std::convertible_to<std::string_view>;
  { c.data() } -> std::same_as<std::byte*>;
  /// One version, that many copies of it. Which pages each will write is told to those who cannot be told later.
  c.open(unsigned{}, pages, std::uint64_t{});
  /// The word of `page` in one of them.
  { c.word_in_copy(page) } -> std::same_as<std::uint64_t>;
  /// Each copy writes the pages, if it can be written, and goes.
  c.use_and_drop(pages, std::uint64_t{});
};

/// A child writes when it is told to, and ends.
class WhatIfFork {
 public:
  static constexpr std::string_view label = "fork, reaped";

  explicit WhatIfFork(std::size_t bytes) : heap_(anonymous_memory(bytes)) {
    ::madvise(heap_.data(), bytes, MADV_NOHUGEPAGE);
  }

  std::byte* data() noexcept { return heap_.data(); }
  void open(unsigned copies, std::span<const Page> pages, std::uint64_t value) {
    for (unsigned i = 0; i < copies; ++i) children_.push_back(begin(pages, value));
  }
  std::uint64_t word_in_copy(Page page) const {
    std::uint64_t word = 0;
    const iovec here{&word, sizeof word}, there{heap_.data() + word_offset(page), sizeof word};
    if (::process_vm_readv(children_.front().pid, &here, 1, &there, 1, 0) != sizeof word) throw_errno("process_vm_readv");
    return word;
  }
  void use_and_drop(std::span<const Page>, std::uint64_t) {
    for (const Child& child : children_) {
      if (::write(child.start, "", 1) != 1) throw_errno("write to a child");
      ::waitpid(child.pid, nullptr, 0);
      ::close(child.start);
    }
    children_.clear();
  }

 private:
  struct Child {
    pid_t pid;
    int start;
  };

  Child begin(std::span<const Page> pages, std::uint64_t value) {
    int ends[2];
    if (::pipe(ends) != 0) throw_errno("pipe");
    const pid_t pid = fork_bound_child();
    if (pid < 0) throw_errno("fork");
    if (pid == 0) {
      char told = 0;
      if (::read(ends[0], &told, 1) != 1) ::_exit(1);
      for (const Page page : pages) store_word(heap_.data(), page, value);
      ::_exit(0);
    }
    ::close(ends[0]);
    return {pid, ends[1]};
  }

  Mapping heap_;
  std::deque<Child> children_;
};

template <cow::Barrier kind>
class WhatIfClones {
 public:
  static constexpr std::string_view label = CowClones<kind>::label;

  explicit WhatIfClones(std::size_t bytes) : arena_(make_arena(bytes, kind)) {}

  std::byte* data() noexcept { return arena_.data(); }
  void open(unsigned copies, std::span<const Page>, std::uint64_t) {
    const cow::Snapshot version = arena_.snapshot();
    for (unsigned i = 0; i < copies; ++i) clones_.push_back(version.clone());
  }
  std::uint64_t word_in_copy(Page page) const { return load_word(clones_.front().data(), page); }
  void use_and_drop(std::span<const Page> pages, std::uint64_t value) {
    for (; !clones_.empty(); clones_.pop_front()) {
      for (const Page page : pages) store_word(clones_.front().data(), page, value);
    }
  }
  std::string note() const { return barrier_note(arena_); }

 private:
  cow::Arena arena_;
  std::deque<cow::Arena> clones_;
};

template <cow::Barrier kind>
class WhatIfViews {
 public:
  static constexpr std::string_view label = CowViews<kind>::label;

  explicit WhatIfViews(std::size_t bytes) : arena_(make_arena(bytes, kind)) {}

  std::byte* data() noexcept { return arena_.data(); }
  void open(unsigned copies, std::span<const Page>, std::uint64_t) {
    const cow::Snapshot version = arena_.snapshot();
    for (unsigned i = 0; i < copies; ++i) views_.push_back(version.view());
  }
  std::uint64_t word_in_copy(Page page) const { return load_word(views_.front().data(), page); }
  /// Reads them instead.
  void use_and_drop(std::span<const Page> pages, std::uint64_t) {
    for (; !views_.empty(); views_.pop_front()) {
      for (const Page page : pages) sum_ = sum_ + load_word(views_.front().data(), page);
    }
  }
  std::string note() const { return barrier_note(arena_); }

 private:
  cow::Arena arena_;
  std::deque<cow::View> views_;
  std::uint64_t sum_ = 0;
};

static_assert(WhatIf<WhatIfFork>);
static_assert(WhatIf<WhatIfClones<cow::Barrier::mprotect>>);
static_assert(WhatIf<WhatIfViews<cow::Barrier::mprotect>>);

}  // namespace bench

// Competitor: this library, by its public interface only. As snapshots, as clones and as views.
#pragma once

#include <array>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "competitors/competitor.hpp"
#include "cow/cow.hpp"

namespace bench {

inline cow::Arena make_arena(std::size_t bytes, cow::Barrier barrier) {
  return cow::Arena({.capacity = bytes, .name = "bench", .barrier = barrier});
}

inline std::string barrier_note(const cow::Arena& arena) {
  switch (arena.barrier()) {
    case cow::Barrier::userfaultfd: return "barrier: userfaultfd";
    case cow::Barrier::kernel: return "barrier: kernel";
    default: return "barrier: mprotect";
  }
}

/// "cow, kernel", "cow clones, mprotect".
struct Labels {
  std::string_view mprotect, userfaultfd, kernel, automatic;

  constexpr std::string_view of(cow::Barrier kind) const {
    switch (kind) {
      case cow::Barrier::mprotect: return mprotect;
      case cow::Barrier::userfaultfd: return userfaultfd;
      case cow::Barrier::kernel: return kernel;
      case cow::Barrier::automatic: break;
    }
    return automatic;
  }
};

template <cow::Barrier kind>
class CowSnapshots {
 public:
  static constexpr std::string_view label =
      Labels{"cow, mprotect", "cow, userfaultfd", "cow, kernel", "cow, automatic"}.of(kind);
  static constexpr bool drop_counts = true, many = true;

  explicit CowSnapshots(std::size_t bytes) : arena_(make_arena(bytes, kind)) {}
  explicit CowSnapshots(const cow::ArenaOptions& options) : arena_(options) {}

  std::byte* data() noexcept { return arena_.data(); }
  void drop() { snapshots_.pop_front(); }
  void settle() {}
  void snapshot(std::span<const Page>) { snapshots_.push_back(arena_.snapshot()); }
  std::uint64_t old_word(Page page) const {
    std::array<std::byte, sizeof(std::uint64_t)> bytes{};
    snapshots_.back().read(word_offset(page), bytes);
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    return word;
  }
  std::string note() const { return barrier_note(arena_); }

 protected:
  cow::Arena& arena() noexcept { return arena_; }

 private:
  cow::Arena arena_;
  std::deque<cow::Snapshot> snapshots_;
};

/// Promises quiet cuts, so that it keeps the kernel barrier beside other threads.
class CowQuietCuts : public CowSnapshots<cow::Barrier::automatic> {
 public:
  static constexpr std::string_view label = "cow, quiet cuts";

  explicit CowQuietCuts(std::size_t bytes)
      : CowSnapshots(cow::ArenaOptions{
            .capacity = bytes, .name = "bench", .barrier = cow::Barrier::automatic, .quiet_cuts = true}) {}
};

/// The writes are handed to Arena::write(), all in one batch. Which barrier there is makes no difference to them.
class CowKnownWrites : public CowSnapshots<cow::Barrier::mprotect> {
 public:
  static constexpr std::string_view label = "cow, by write()";

  using CowSnapshots::CowSnapshots;

  void write(std::span<const Page> pages, std::uint64_t value) {
    batch_.clear();
    for (const Page page : pages) batch_.push_back({data() + word_offset(page), &value, sizeof value});
    arena().write(batch_);
  }

 private:
  std::vector<cow::Write> batch_;
};

/// The "snapshot" is a clone: writes go to pages that are lent.
template <cow::Barrier kind>
class CowClones {
 public:
  static constexpr std::string_view label =
      Labels{"cow clones, mprotect", "cow clones, userfaultfd", "cow clones, kernel", "cow clones, automatic"}.of(kind);
  static constexpr bool drop_counts = true, many = true;

  explicit CowClones(std::size_t bytes) : arena_(make_arena(bytes, kind)) {}

  std::byte* data() noexcept { return arena_.data(); }
  void drop() { clones_.pop_front(); }
  void settle() {}
  void snapshot(std::span<const Page>) { clones_.push_back(arena_.clone()); }
  std::uint64_t old_word(Page page) const { return load_word(clones_.back().data(), page); }
  std::string note() const { return barrier_note(arena_); }

 protected:
  cow::Arena& arena() noexcept { return arena_; }

 private:
  cow::Arena arena_;
  std::deque<cow::Arena> clones_;
};

/// Clones whose original is written by Arena::write().
class CowKnownClones : public CowClones<cow::Barrier::mprotect> {
 public:
  static constexpr std::string_view label = "cow clones, by write()";

  using CowClones::CowClones;

  void write(std::span<const Page> pages, std::uint64_t value) {
    batch_.clear();
    for (const Page page : pages) batch_.push_back({data() + word_offset(page), &value, sizeof value});
    arena().write(batch_);
  }

 private:
  std::vector<cow::Write> batch_;
};

/// The "snapshot" is one with a view open on it.
template <cow::Barrier kind>
class CowViews {
 public:
  static constexpr std::string_view label =
      Labels{"cow views, mprotect", "cow views, userfaultfd", "cow views, kernel", "cow views, automatic"}.of(kind);
  static constexpr bool drop_counts = true, many = true;

  explicit CowViews(std::size_t bytes) : arena_(make_arena(bytes, kind)) {}

  std::byte* data() noexcept { return arena_.data(); }
  void drop() { views_.pop_front(); }
  void settle() {}
  void snapshot(std::span<const Page>) { views_.push_back(arena_.snapshot().view()); }
  std::uint64_t old_word(Page page) const { return load_word(views_.back().data(), page); }
  std::string note() const { return barrier_note(arena_); }

 private:
  cow::Arena arena_;
  std::deque<cow::View> views_;
};

static_assert(Competitor<CowSnapshots<cow::Barrier::mprotect>>);
static_assert(Competitor<CowKnownWrites>);
static_assert(Competitor<CowClones<cow::Barrier::mprotect>>);
static_assert(Competitor<CowViews<cow::Barrier::mprotect>>);

}  // namespace bench

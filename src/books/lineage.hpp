// Which arena was cloned from which, and at what moment: to tell whether a version is one that another comes from. The
// file's lock covers it. Ancestors whose books are gone are forgotten, so that endless cloning of clones stays short.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "books/lending.hpp"
#include "kernel/book_memory.hpp"
#include "words/held.hpp"
#include "words/units.hpp"

namespace cow {

/// One arena as a part of a family.
struct Line : ListHook {
  struct Ancestor {
    std::uint64_t arena = 0;  // 0: none
    Epoch epoch;              // of the version that was cloned
  };

  std::uint64_t arena = 0;         // its name, unique in the family
  Ancestor parent;
  BookVector<Ancestor> further;    // the nearest first; those whose books there were when this one was made

  /// The last moment of another arena that this one comes from; its arena is 0 where there is none.
  Ancestor find(std::uint64_t ancestor) const noexcept {
    if (parent.arena == ancestor) return parent;
    for (const Ancestor& older : further) {
      if (older.arena == ancestor) return older;
    }
    return {};
  }
};

/// The lines of a family whose books are there.
class Lineage {
 public:
  void add(Line& line) noexcept COW_FILE_LOCKED { lines_.push_back(line); }
  void remove(Line& line) noexcept COW_FILE_LOCKED { lines_.erase(lines_.iterator_to(line)); }

  /// `child` is cloned from the version that `of` had at an epoch.
  os::Error descend(Line& child, const Line& of, Epoch at) noexcept COW_FILE_LOCKED {
    child.parent = {of.arena, at};
    if (is_there(of.parent)) {
      if (const os::Error error = child.further.push_back(of.parent)) return error;
    }
    for (const Line::Ancestor& older : of.further) {
      if (!is_there(older)) continue;
      if (const os::Error error = child.further.push_back(older)) return error;
    }
    return {};
  }

 private:
  bool is_there(const Line::Ancestor& ancestor) const noexcept COW_FILE_LOCKED {
    if (ancestor.arena == 0) return false;
    for (const Line& line : lines_) {
      if (line.arena == ancestor.arena) return true;
    }
    return false;
  }

  COW_BY_FILE_LOCK boost::intrusive::list<Line, boost::intrusive::constant_time_size<false>> lines_;
};

}  // namespace cow

// cow/difference.hpp: pages by the books, bytes by reading both versions.
#include "cow/difference.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <stdexcept>
#include <string>

#include "arena/changed_between.hpp"
#include "arena/operation.hpp"
#include "cow/arena.hpp"
#include "cow/view.hpp"
#include "merge/compare.hpp"

namespace cow {
namespace {

constexpr std::size_t most_buffered = std::size_t{16} << 20;

void check_granule(std::size_t granule) {
  if (std::has_single_bit(granule) && granule <= os::page_size()) return;
  throw std::invalid_argument("cow: for_each_difference: a granule is a power of two up to the page size of " +
                              in_bytes(os::page_size()) + ", not " + std::to_string(granule));
}

/// One version's bytes, read into a buffer, or mapped where the runs are long.
class Side {
 public:
  Side(const Snapshot& snapshot, std::size_t longest) : snapshot_(snapshot) {
    if (longest > most_buffered) {
      view_ = snapshot.view();
    } else {
      buffer_ = std::make_unique_for_overwrite<std::byte[]>(longest);
    }
  }

  const std::byte* bytes(std::size_t offset, std::size_t size) {
    if (buffer_ == nullptr) return view_.data() + offset;
    snapshot_.read(offset, {buffer_.get(), size});
    return buffer_.get();
  }

 private:
  const Snapshot& snapshot_;
  View view_;
  std::unique_ptr<std::byte[]> buffer_;
};

}  // namespace

std::vector<PageRange> changed_between(const Snapshot& a, const Snapshot& b) {
  Version& one = usable(Access::version(a), "changed_between");
  Version& other = usable(Access::version(b), "changed_between");
  if (&one.books.family != &other.books.family) {
    throw std::invalid_argument("cow: changed_between of snapshots of two families: arenas that no clone() connects");
  }
  BookVector<Pages> changed;
  throw_if(list_changed_between(one, other, changed),
           [&] { return "changed_between in an arena of " + in_bytes(a.capacity()); });
  std::vector<PageRange> result;  // outside the locks: its memory may lie in an arena
  result.reserve(changed.size());
  for (const Pages& run : changed) result.push_back({run.first.value, run.count});
  return result;
}

void for_each_difference(const Snapshot& a, const Snapshot& b, const std::function<void(const Difference&)>& call,
                         std::size_t granule) {
  check_granule(granule);
  if (!call) throw std::invalid_argument("cow: for_each_difference: the function to call is empty");
  const std::vector<PageRange> changed = changed_between(a, b);
  if (changed.empty()) return;
  const std::size_t page = os::page_size();
  std::size_t longest = 0;
  for (const PageRange& range : changed) longest = std::max(longest, range.count * page);
  Side before(a, longest), after(b, longest);
  for (const PageRange& range : changed) {
    const std::size_t offset = range.first * page, size = range.count * page;
    const std::byte* const x = before.bytes(offset, size);
    const std::byte* const y = after.bytes(offset, size);
    for (std::size_t at = next_difference(x, y, 0, size, granule); at < size;) {
      const std::size_t end = next_equal(x, y, at, size, granule);
      call({offset + at, {x + at, end - at}, {y + at, end - at}});
      at = next_difference(x, y, end, size, granule);
    }
  }
}

}  // namespace cow

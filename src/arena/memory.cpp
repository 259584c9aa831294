// Operations on an arena's memory. See arena/memory.hpp.
#include "arena/memory.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "arena/operation.hpp"
#include "barrier/barrier.hpp"
#include "rule/close_again.hpp"
#include "rule/collect.hpp"
#include "rule/copy_on_write.hpp"
#include "rule/exclude.hpp"
#include "rule/known_writes.hpp"

namespace cow {

void check_range(const ArenaBooks& books, const void* p, std::size_t n, const char* operation) {
  if (n == 0 && p == nullptr) return;
  const std::byte* const at = static_cast<const std::byte*>(p);
  const std::size_t capacity = books.bytes(books.pages);
  const bool inside = at >= books.base && at <= books.base + capacity;
  if (inside && n <= capacity - static_cast<std::size_t>(at - books.base)) return;
  const std::string where = inside ? "from byte " + std::to_string(at - books.base) + " on" : "at " + in_hex(p);
  throw std::invalid_argument(std::string("cow: ") + operation + " of " + in_bytes(n) + " " + where +
                              (inside ? " goes beyond arena \"" : " is outside arena \"") + books.name +
                              "\", which has " + in_bytes(capacity) + ", from " + in_hex(books.base) + " to " +
                              in_hex(books.base + capacity));
}

namespace {

/// Calls f(pages) for the run in parts, each under the fault lock.
template <class F>
void in_parts(ArenaBooks& books, Pages run, const char* operation, F&& f) {
  for (Page p = run.first; p < run.end();) {
    const Pages part{p, std::min(pages_at_once, run.end() - p)};
    os::Error error;
    {
      const WriterLockGuard guard(*books.fault_lock);
      error = f(part);
    }
    throw_if(error, [&] { return std::string(operation) + " of " + in_bytes(books.bytes(run.count)); });
    p = part.end();
  }
}

/// Nothing but the next snapshot closes them again.
os::Error make_ready(ArenaBooks& books, Pages run, Untouched untouched) noexcept COW_FAULT_LOCKED {
  if (books.barrier->collects) {
    if (const os::Error error = open_all_half_protected(books)) return error;
    if (untouched == Untouched::left) return prepare_to_discard(books, run);
    return count_as_written(books, run);
  }
  close_some_if_few_are_left(books, run);
  const os::Error error = make_writable(books, run, untouched);
  if (!error) keep_open(books, run);
  return error;
}

/// What the program's own handler has to fill first it fills now.
void read_each_page(const void* from, std::size_t bytes) noexcept {
  const volatile std::byte* const at = static_cast<const std::byte*>(from);
  for (std::size_t i = 0; i < bytes; i += os::page_size()) (void)at[i];
  if (bytes != 0) (void)at[bytes - 1];
}

/// The content of a batch, read before any lock is taken. A source that can be read now may be gone in a moment, like a
/// file that someone truncates; the program's handler of that may jump, and must not jump out of a lock.
class Staged {
 public:
  Staged(const ArenaBooks& books, std::span<const Write> batch, std::size_t bytes) {
    if (bytes > most_staged) return;
    if (bytes > sizeof small_) large_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
    std::byte* at = large_ != nullptr ? large_.get() : small_;
    content_ = at;
    for (const Write& write : batch) {
      if (write.bytes != 0 && !reads_its_arena(books, write)) std::memcpy(at, write.from, write.bytes);
      at += write.bytes;
    }
  }
  /// Null for what is too much to be copied twice.
  const std::byte* content() const noexcept { return content_; }

 private:
  static constexpr std::size_t most_staged = std::size_t{1} << 20;

  std::byte small_[4096];
  std::unique_ptr<std::byte[]> large_;
  const std::byte* content_ = nullptr;
};

}  // namespace

void write_batch(ArenaBooks& books, std::span<const Write> batch) {
  std::size_t bytes = 0;
  for (const Write& write : batch) {
    check_range(books, write.to, write.bytes, "write");
    if (write.from == nullptr && write.bytes != 0) {
      throw std::invalid_argument("cow: write of " + in_bytes(write.bytes) + ": what to write is nullptr");
    }
    read_each_page(write.from, write.bytes);
    bytes += write.bytes;
  }
  if (bytes == 0) return;
  const Staged staged(books, batch, bytes);
  os::Error error;
  {
    const WriterLockGuard guard(*books.fault_lock);
    error = write_known(books, batch, staged.content());
  }
  throw_if(error, [&] { return "write of " + in_bytes(bytes) + " in " + counted(batch.size(), "part"); });
}

void prepare_range(ArenaBooks& books, void* p, std::size_t n) {
  check_range(books, p, n, "prepare_write");
  if (n == 0) return;
  const Page first = books.page_of(p), last = books.page_of(static_cast<std::byte*>(p) + n - 1);
  const Pages run{first, last - first + 1};
  in_parts(books, run, "prepare_write", [&](Pages part) COW_FAULT_LOCKED {
    return make_ready(books, part, Untouched::included);
  });
  if (run.count <= pages_at_once) return;
  // What a later part needed may have failed half-way, in pages of an earlier one.
  in_parts(books, run, "prepare_write", [&](Pages part) COW_FAULT_LOCKED {
    return books.half_protected && !books.barrier->collects ? make_writable(books, part) : os::Error{};
  });
}

void discard_range(ArenaBooks& books, void* p, std::size_t n) {
  check_range(books, p, n, "discard");
  if (n == 0) return;
  const std::size_t offset = static_cast<std::size_t>(static_cast<std::byte*>(p) - books.base);
  const Page first{(offset + books.bytes(1) - 1) >> books.page_shift}, end{(offset + n) >> books.page_shift};
  if (first >= end) return;
  // First all that can fail, with the content as it is; no snapshot may come in between.
  const Operation operation(books);
  const Pages run{first, end - first};
  throw_if(books.family.file.check(), [&] { return "discard of " + in_bytes(books.bytes(run.count)); });
  in_parts(books, run, "discard", [&](Pages part) COW_FAULT_LOCKED {
    return make_ready(books, part, Untouched::left);
  });
  in_parts(books, run, "discard", [&](Pages part) COW_FAULT_LOCKED {
    books.barrier->collects ? discard_uncollected(books, part) : make_blank(books, part);
    return make_excluded_blank(books, part), os::Error{};
  });
}

}  // namespace cow

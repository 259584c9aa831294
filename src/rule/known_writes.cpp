// Known writes. See rule/known_writes.hpp.
#include "rule/known_writes.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "barrier/barrier.hpp"
#include "barrier/home_alias.hpp"
#include "barrier/saved_mapping.hpp"
#include "kernel/fences.hpp"
#include "kernel/memory_sanitizer.hpp"
#include "rule/claim.hpp"
#include "rule/collect.hpp"
#include "rule/copy_on_write.hpp"
#include "rule/make_private.hpp"

namespace cow {
namespace {

/// Calls f(page, offset in it, from, bytes) for the parts of a write by page, until one fails.
template <class F>
os::Error for_each_part(const ArenaBooks& books, const Write& write, F&& f) COW_FAULT_LOCKED {
  const std::byte* from = static_cast<const std::byte*>(write.from);
  std::size_t at = static_cast<std::size_t>(static_cast<const std::byte*>(write.to) - books.base);
  for (const std::size_t end = at + write.bytes; at < end;) {
    const std::size_t offset = at % books.bytes(1);
    const std::size_t bytes = std::min(books.bytes(1) - offset, end - at);
    if (const os::Error error = f(Page{at >> books.page_shift}, offset, from, bytes)) return error;
    at += bytes;
    from += bytes;
  }
  return {};
}

/// The page is the arena's own afterwards, for a store to its frame by the alias, and as protected as it was. Where the
/// alias does not reach, or the page has to move, it is writable itself.
os::Error make_private_or_writable(ArenaBooks& books, Page p, Claim claim) noexcept COW_FAULT_LOCKED {
  if (claim == Claim::excluded) return {};
  if (claim == Claim::move || !reached_by_alias(books, p)) return make_writable(books, {p, 1});
  const bool private_already = claim == Claim::none || books.birth_of(p) == books.epoch;
  if (private_already && claim != Claim::first_touch) return {};
  const os::Error error = make_private_in_place(books, {p, 1}, claim);
  if (!error) count(books.made_writable, claim, 1);
  return error;
}

/// The store that follows must not meet a page without memory, which may be one that was opened beside others.
os::Error make_ready(ArenaBooks& books, Page p) noexcept COW_FAULT_LOCKED {
  const Claim claim = claim_of(books, p);
  const bool hollow = claim == Claim::first_touch || books.hollow.contains(p);
  if (hollow) {
    if (const os::Error error = give_memory(books.family.file, books.frame_of(p), 1)) return error;
  }
  const os::Error error = make_private_or_writable(books, p, claim);
  if (!error && hollow) books.hollow.erase({p, 1});
  return error;
}

/// Making a page ready may have meant to consolidate a window, in vain, and left others protected.
os::Error keep_ready(ArenaBooks& books, std::span<const Write> batch) noexcept COW_FAULT_LOCKED {
  if (!books.half_protected) return {};
  for (const Write& write : batch) {
    const auto once_more = [&](Page p, std::size_t, const std::byte*, std::size_t) COW_FAULT_LOCKED {
      return make_private_or_writable(books, p, claim_of(books, p));
    };
    if (const os::Error error = for_each_part(books, write, once_more)) return error;
  }
  return {};
}

void store(ArenaBooks& books, Page p, std::size_t offset, const std::byte* from, std::size_t bytes) noexcept
    COW_FAULT_LOCKED {
  std::byte* const page = books.address_of(p);
  const bool past_the_mapping = !books.barrier->collects && !books.is_excluded(p) && reached_by_alias(books, p);
  std::memcpy((past_the_mapping ? alias_of(books, p) : page) + offset, from, bytes);
  memory_sanitizer::has_content(page + offset, bytes);
}

}  // namespace

bool reads_its_arena(const ArenaBooks& books, const Write& write) noexcept {
  const auto from = reinterpret_cast<std::uintptr_t>(write.from), base = reinterpret_cast<std::uintptr_t>(books.base);
  return from < base + books.bytes(books.pages) && base < from + write.bytes;
}

namespace {

/// Of a plain arena: the stores must not meet a lack of memory.
os::Error make_plain_ready(ArenaBooks& books, std::span<const Write> batch) noexcept COW_FAULT_LOCKED {
  const os::Error error = open_all_half_protected(books);
  if (error) return error;
  for (const Write& write : batch) {
    const auto with_memory = [&](Page p, std::size_t, const std::byte*, std::size_t) COW_FAULT_LOCKED {
      return enter_ahead(books, {p, 1}, true);
    };
    if (const os::Error failed = for_each_part(books, write, with_memory)) return failed;
  }
  return {};
}

/// Under the kernel barrier a store is all it takes.
os::Error make_stores_safe(ArenaBooks& books, std::span<const Write> batch) noexcept COW_FAULT_LOCKED {
  const os::Error error = open_all_half_protected(books);
  if (error || books.family.file.saved().empty()) return error;
  for (const Write& write : batch) {
    const auto touch = [&](Page p, std::size_t, const std::byte*, std::size_t) COW_FAULT_LOCKED {
      return touch_what_may_vanish(books, {p, 1}, os::Access::read_write);
    };
    if (const os::Error failed = for_each_part(books, write, touch)) return failed;
  }
  return {};
}

/// Afterwards nothing can fail.
os::Error make_batch_ready(ArenaBooks& books, std::span<const Write> batch) noexcept COW_FAULT_LOCKED {
  if (is_plain(books)) return make_plain_ready(books, batch);
  if (books.barrier->collects) return make_stores_safe(books, batch);
  map_home_alias(books);  // without it pages are made writable
  for (const Write& write : batch) {
    const auto ready = [&](Page p, std::size_t, const std::byte*, std::size_t) COW_FAULT_LOCKED {
      return make_ready(books, p);
    };
    if (const os::Error error = for_each_part(books, write, ready)) return error;
  }
  return keep_ready(books, batch);
}

}  // namespace

os::Error write_known(ArenaBooks& books, std::span<const Write> batch, const std::byte* staged) noexcept {
  if (const os::Error error = make_batch_ready(books, batch)) return error;
  // All are ready still: where making one so meant to consolidate a window, all pages of that are writable now.
  if (!books.barrier->collects) books.written = true;
  fence(std::memory_order_release);  // who sees the content sees the entries
  for (const Write& write : batch) {
    Write at = write;
    if (staged != nullptr) {
      const void* const copy = std::exchange(staged, staged + write.bytes);
      if (!reads_its_arena(books, write)) at.from = copy;
    }
    const auto store_part = [&](Page p, std::size_t offset, const std::byte* from, std::size_t bytes) COW_FAULT_LOCKED {
      return store(books, p, offset, from, bytes), os::Error{};
    };
    (void)for_each_part(books, at, store_part);
  }
  return {};
}

}  // namespace cow

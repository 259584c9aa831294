// See arena/adopt.hpp. The pages that may differ are compared; those that do are written as one batch, which can fail
// only before its first store.
#include "arena/adopt.hpp"

#include <cstring>
#include <string>

#include "arena/changed_between.hpp"
#include "arena/exclude.hpp"
#include "arena/operation.hpp"
#include "arena/version_content.hpp"
#include "barrier/home_alias.hpp"
#include "barrier/saved_mapping.hpp"
#include "kernel/fork_gate.hpp"
#include "kernel/memory_sanitizer.hpp"
#include "rule/known_writes.hpp"
#include "words/mutants.hpp"

namespace cow {
namespace {

bool same(const void* a, const void* b, std::size_t bytes) noexcept {
  const memory_sanitizer::ChecksOff off;
  return std::memcmp(a, b, bytes) == 0;
}

os::Error prepare_to_compare(ArenaBooks& books, VersionContent& content, const BookVector<Pages>& changed) noexcept {
  for (const Pages& run : changed) {
    if (const os::Error error = content.add(run)) return error;
    if (const os::Error error = touch_what_may_vanish(books, run, os::Access::read)) return error;
  }
  return {};
}

/// The pages that may have to be written.
os::Error list_pages(const ArenaBooks& books, const VersionContent& content, const BookVector<Pages>& changed,
                     BookVector<PageWrite>& writes) noexcept {
  writes.shrink_to(0);
  for (const Pages& run : changed) {
    for (Page p = run.first; p < run.end(); ++p) {
      if (books.is_excluded(p) || content.is_excluded(p)) continue;
      if (mutant(Mutant::adopt_skips_zero_pages) && content.is_zero(p)) continue;
      if (const os::Error error = writes.push_back(content.as_write(p))) return error;
    }
  }
  return {};
}

/// Whether the arena holds what is to be written. `scratch`: a page.
os::Result<bool> holds(const ArenaBooks& books, const VersionContent& content, const PageWrite& write,
                       std::byte* scratch) noexcept {
  const std::byte* const here = content_known_to_books(books, write.page);
  if (write.frame == zero_frame) return {same(here, write.nearer, books.bytes(1)), {}};
  const std::byte* const glimpse = content.glimpse(write.page);
  if (glimpse != nullptr && !same(here, glimpse, books.bytes(1))) return {false, {}};
  const os::Result<const std::byte*> there = content.read(write.page, scratch);
  return {there && same(here, there.value, books.bytes(1)), there.error};
}

/// Leaves those out that the arena holds already. Most differ early: what takes time is to reach them at all.
os::Error leave_out_what_it_holds(const ArenaBooks& books, const VersionContent& content,
                                  BookVector<PageWrite>& writes, std::byte* scratch) noexcept {
  constexpr std::size_t ahead = 4;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    if (i + ahead < writes.size()) {
      const PageWrite& next = writes.begin()[i + ahead];
      __builtin_prefetch(content_known_to_books(books, next.page));
      __builtin_prefetch(next.nearer);
    }
    const PageWrite write = writes.begin()[i];
    const os::Result<bool> held = holds(books, content, write, scratch);
    if (!held) return held.error;
    if (!held.value) writes.begin()[kept++] = write;
  }
  writes.shrink_to(kept);
  return {};
}

/// Once where the version's arena shows its pages; where some have moved meanwhile, once more.
os::Error list_all_writes(ArenaBooks& books, VersionContent& content, const BookVector<Pages>& changed,
                          BookVector<PageWrite>& writes) noexcept {
  const os::Result<BookBuffer> scratch = BookBuffer::reserve(books.bytes(1));
  if (!scratch) return scratch.error;
  for (;;) {
    const VersionContent::Nearby nearby(content);
    if (const os::Error error = list_pages(books, content, changed, writes)) return error;
    if (const os::Error error = leave_out_what_it_holds(books, content, writes, scratch.value.data())) return error;
    if (nearby.held()) return {};
  }
}

/// What has to be written for the arena to hold what the version does.
struct Adoption {
  explicit Adoption(Version& of) noexcept : version(of), content(of) {}

  os::Error work_out(ArenaBooks& books) noexcept {
    writes.shrink_to(0);
    if (const os::Error error = list_changed_until_now(books, version, changed, asked)) return error;
    if (changed.empty()) return {};
    if (const os::Error error = content.open(books, asked.by_cut)) return error;
    if (const os::Error error = prepare_to_compare(books, content, changed)) return error;
    return list_all_writes(books, content, changed, writes);
  }

  Version& version;
  VersionContent content;
  AskedNow asked;
  BookVector<Pages> changed;
  BookVector<PageWrite> writes;
};

/// Allocates nothing but by the books: the heap in the arena may be what serves operator new, and is locked meanwhile.
os::Error take_over(ArenaBooks& books, Adoption& adoption, std::uint64_t excluded, bool& done) noexcept {
  for (;;) {
    if (const os::Error error = adoption.work_out(books)) return error;
    const WriterLockGuard guard(*books.fault_lock);
    done = excludes_as_many(books, excluded);
    if (!done) return {};
    // Another thread may have taken a snapshot meanwhile, or changed the barrier: then what was read for the version's
    // may have been what was written since, and nothing to write says nothing.
    if (adoption.asked.still(books)) {
      if (adoption.writes.empty()) return {};
      return write_known_pages(books, adoption.writes.span(), adoption.content.near());
    }
    adoption.asked.by_cut = true;
  }
}

}  // namespace

bool adopt_version(ArenaBooks& books, Version& version, std::uint64_t excluded) {
  Adoption adoption(version);
  os::Error error;
  bool done = false;
  {
    const Cut cut(books, "adopt");
    error = take_over(books, adoption, excluded, done);
  }
  throw_if(error, [&] {
    std::uint64_t pages = 0;
    for (const Pages& run : adoption.changed) pages += run.count;
    return "adopting " + counted(pages, "page") + " in an arena of " + in_bytes(books.bytes(books.pages));
  });
  return done;
}

}  // namespace cow

// cow::Arena and cow::ArenaRef.
#include "cow/arena.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "arena/adopt.hpp"
#include "arena/change_barrier.hpp"
#include "arena/changed_since.hpp"
#include "arena/exclude.hpp"
#include "arena/lifetime.hpp"
#include "arena/memory.hpp"
#include "arena/operation.hpp"
#include "arena/rollback.hpp"
#include "arena/take_version.hpp"
#include "barrier/barrier.hpp"
#include "books/versions.hpp"
#include "fork/children.hpp"
#include "kernel/fork_gate.hpp"

namespace cow {

std::size_t page_size() noexcept { return os::page_size(); }

namespace {

/// Part by part: others' faults wait for the file's lock.
os::Error fill_reserve(ArenaBooks& books) noexcept {
  FrameFile& file = books.family.file;
  const std::uint64_t frames = file.history().reserve();
  if (frames == 0) return {};
  for (std::uint64_t part = 0; part < frames;) {
    part = std::min(part + pages_at_once, frames);
    FaultLockGuard guard(file.lock());
    if (const os::Error error = file.history().make_room(part)) return error;
  }
  FaultLockGuard guard(*books.fault_lock);
  // A fault wants a chunk ready even where its entry does not need one.
  const std::size_t chunks = UndoLog::chunks_for(frames + LogChunk::capacity);
  books.log_memory.keep_in_reserve(chunks);
  return books.log_memory.make_room(chunks);
}

Snapshot cut_snapshot(ArenaBooks& books) {
  for (;;) {
    const Cut cut(books, "snapshot");
    const Operation operation(books);
    if (cut.has_its_hook()) return Access::snapshot(take_version(books));
  }
}

void make_reserve_whole(ArenaBooks& books) {
  throw_if(fill_reserve(books), [&] {
    return "keeping a reserve of " + in_bytes(books.bytes(books.family.file.history().reserve())) + " of history";
  });
}

}  // namespace

UpdateGate* detail::gate_of(const ArenaBooks* books) noexcept { return books == nullptr ? nullptr : books->gate; }
UpdateGate* detail::gate_of(const Arena& arena) noexcept { return gate_of(Access::books(arena)); }

Arena::Arena(const ArenaOptions& options) : Arena(create_arena(options)) {
  if (options.reserve_history_bytes == 0) return;
  const std::uint64_t frames = (options.reserve_history_bytes - 1) / os::page_size() + 1;
  // A fault wants its whole block ready.
  books_->family.file.history().keep_in_reserve(frames + BlockPolicy::longest_block);
  make_reserve_whole(*books_);
}

Arena::Arena(Arena&& other) noexcept : books_(std::exchange(other.books_, nullptr)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  if (this != &other) {
    destroy_arena(books_);
    books_ = std::exchange(other.books_, nullptr);
  }
  return *this;
}

Arena::~Arena() { destroy_arena(books_); }

std::byte* Arena::data() const noexcept { return books_ == nullptr ? nullptr : books_->base; }
std::size_t Arena::capacity() const noexcept { return books_ == nullptr ? 0 : books_->bytes(books_->pages); }
bool Arena::contains(const void* p) const noexcept { return ArenaRef(books_).contains(p); }
Barrier Arena::barrier() const noexcept { return books_ == nullptr ? Barrier::mprotect : books_->barrier->kind; }

Snapshot Arena::snapshot() {
  ArenaBooks& books = usable(books_, "snapshot");
  keep_handlers_for(books);
  fork_children::release_some_ended();
  make_reserve_whole(books);
  Snapshot taken = cut_snapshot(books);
  make_reserve_whole(books);  // what the cut itself used, and writers beside it
  return taken;
}

Arena Arena::clone() {
  usable(books_, "clone");
  const Snapshot now = snapshot();
  return now.clone();
}

void Arena::rollback(const Snapshot& snapshot) {
  ArenaBooks& books = usable(books_, "rollback");
  Version& version = usable(Access::version(snapshot), "rollback");
  if (books.innermost.load(std::memory_order_relaxed) != nullptr) {
    throw std::logic_error(std::string("cow: rollback inside a transaction on arena \"") + books.name +
                           "\"; Transaction::roll_back() ends the innermost one, and brings its begin back");
  }
  for (;;) {
    const std::uint64_t excluded = count_excluded(books);
    require_excluded_blocks(books, snapshot, "rollback");
    if (roll_back_or_throw(books, version, excluded)) return;
  }
}

void Arena::adopt(const Snapshot& snapshot) {
  ArenaBooks& books = usable(books_, "adopt");
  Version& version = usable(Access::version(snapshot), "adopt");
  throw_if(check_barrier(books), "adopt");
  if (&version.books.family != &books.family) {
    throw std::invalid_argument("cow: adopt of a version of another family: it must be a snapshot of this arena, of "
                                "its clones, of what it was cloned from, or of theirs");
  }
  for (;;) {
    const std::uint64_t excluded = count_excluded(books);
    require_excluded_blocks(books, snapshot, "adopt");
    if (adopt_version(books, version, excluded)) return;
  }
}

void Arena::write(void* to, const void* from, std::size_t n) {
  const Write one{to, from, n};
  write_batch(usable(books_, "write"), {&one, 1});
}
void Arena::write(std::span<const Write> batch) { write_batch(usable(books_, "write"), batch); }
void Arena::prepare_write(void* p, std::size_t n) { prepare_range(usable(books_, "prepare_write"), p, n); }
void Arena::discard(void* p, std::size_t n) { discard_range(usable(books_, "discard"), p, n); }

std::vector<PageRange> Arena::changed_since(const Snapshot& snapshot) const {
  ArenaBooks& books = usable(books_, "changed_since");
  Version& version = usable(Access::version(snapshot), "changed_since");
  const auto what = [&] { return "changed_since of an arena of " + in_bytes(books.bytes(books.pages)); };
  throw_if(check_barrier(books), what);
  BookVector<Pages> changed;
  if (&version.books == &books) {
    throw_if(list_changed(version, changed), what);
  } else if (is_base_of(version, books)) {
    throw_if(list_changed_since_base(books, changed), what);
  } else {
    throw std::invalid_argument("cow: changed_since of a snapshot of another arena");
  }
  std::vector<PageRange> result;  // outside the locks: its memory may lie in an arena
  result.reserve(changed.size());
  for (const Pages& run : changed) result.push_back({run.first.value, run.count});
  return result;
}

ArenaRef Arena::ref() const {
  usable(books_, "ref");
  return ArenaRef(books_);
}

std::byte* ArenaRef::data() const noexcept { return books_ == nullptr ? nullptr : books_->base; }
std::size_t ArenaRef::capacity() const noexcept { return books_ == nullptr ? 0 : books_->bytes(books_->pages); }

bool ArenaRef::contains(const void* p) const noexcept {
  return books_ != nullptr && p >= data() && p < data() + capacity();
}

const char* ArenaRef::name() const noexcept { return books_ == nullptr ? "" : books_->name; }

void ArenaRef::write(void* to, const void* from, std::size_t n) const {
  const Write one{to, from, n};
  write_batch(usable(books_, "write", no_arena_ref), {&one, 1});
}

void ArenaRef::write(std::span<const Write> batch) const {
  write_batch(usable(books_, "write", no_arena_ref), batch);
}

void ArenaRef::prepare_write(void* p, std::size_t n) const {
  prepare_range(usable(books_, "prepare_write", no_arena_ref), p, n);
}

void ArenaRef::discard(void* p, std::size_t n) const { discard_range(usable(books_, "discard", no_arena_ref), p, n); }

// A hint, as a set of pages gives without its lock.
bool ArenaRef::is_writable(const void* p) const noexcept COW_HELD_UNCHECKED {
  if (books_ == nullptr) return false;
  const Page page = books_->page_of(p);
  return books_->fronts.in_use.load(std::memory_order_relaxed) || books_->writable.contains(page) ||
         books_->is_excluded(page);
}

bool ArenaRef::has_excluded(const void* p, std::size_t n) const noexcept {
  if (n == 0 || books_ == nullptr || !books_->any_excluded.load(std::memory_order_relaxed)) return false;
  const Page first = books_->page_of(p), last = books_->page_of(static_cast<const std::byte*>(p) + n - 1);
  return books_->excluded.intersects({first, last - first + 1});
}

std::uint64_t ArenaRef::epoch() const noexcept {
  return books_ == nullptr ? 0 : books_->cuts.load(std::memory_order_acquire);
}

std::shared_ptr<CutHook> ArenaRef::cut_hook(const std::function<std::shared_ptr<CutHook>()>& make) const {
  ArenaBooks& books = usable(books_, "cut_hook", no_arena_ref);
  const Operation operation(books);
  if (books.hook == nullptr) books.hook = make();
  return books.hook;
}

}  // namespace cow

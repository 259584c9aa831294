// Arenas come and go. See arena/lifetime.hpp; versions are in arena/version_lifetime.cpp.
#include "arena/lifetime.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "arena/change_barrier.hpp"
#include "arena/idle_view.hpp"
#include "arena/operation.hpp"
#include "barrier/barrier.hpp"
#include "barrier/fronts.hpp"
#include "barrier/home_alias.hpp"
#include "books/versions.hpp"
#include "faults/install.hpp"
#include "faults/registry.hpp"
#include "fork/cut.hpp"
#include "rule/copy_ahead.hpp"
#include "rule/exclude.hpp"
#include "words/mutants.hpp"

namespace cow {
namespace {

struct AddressRange {
  std::byte* at = nullptr;  // with the guards
  std::size_t bytes = 0;
  std::byte* base = nullptr;
};

constexpr std::size_t longest_name = 31;  // what /proc/self/maps and reports show of it
/// On x86-64 all of user space without five-level paging; on aarch64 half of it, with pages of 4 KiB.
constexpr std::uint64_t most_pages = std::uint64_t{1} << LogChunk::page_bits;

std::uint64_t pages_for(std::size_t capacity) {
  if (capacity == 0) throw std::invalid_argument("cow: an arena of capacity 0; it must be at least 1");
  const std::uint64_t pages = capacity / os::page_size() + (capacity % os::page_size() != 0 ? 1 : 0);
  if (pages > most_pages) {
    throw std::invalid_argument("cow: an arena of " + in_bytes(capacity) + " is more than one can have: " +
                                in_bytes(most_pages * os::page_size()));
  }
  return pages;
}

void check_address(const void* address) {
  if (reinterpret_cast<std::uintptr_t>(address) % os::page_size() != 0) {
    throw std::invalid_argument("cow: the address of an arena must be a multiple of the page size, " +
                                in_bytes(os::page_size()) + ", not " + in_hex(address));
  }
}

void check_reserve(std::size_t bytes) {
  const std::uint64_t most = os::machine_memory_bytes();
  if (bytes <= most) return;
  throw std::invalid_argument("cow: a reserve of " + in_bytes(bytes) +
                              " for history is more than the machine's memory: " + in_bytes(most));
}

os::Result<ArenaBooks*> create_books(Family& family, std::uint64_t pages) noexcept COW_SIGNALS_BLOCKED {
  os::Result<BookBuffer> memory = BookBuffer::reserve(ArenaBooks::bytes_for(pages));
  if (!memory) return {nullptr, memory.error};
  std::byte* const at = memory.value.data();
  ArenaBooks* books = ::new (at) ArenaBooks(family, std::move(memory.value), pages);
  books->generation = os::process_generation();
  os::Error error;
  {
    FaultLockHeld held(family.file.lock());
    const os::Result<Plane*> home = family.file.add_plane();
    books->home = home.value;
    error = home.error;
    books->line.arena = family.next_version.fetch_add(1, std::memory_order_relaxed);
    family.lineage.add(books->line);
  }
  if (!error) {
    const os::Result<FaultSlot*> slot = fault_registry::take();
    books->slot = slot.value;
    error = slot.error;
  }
  if (!error) books->fault_lock = &books->slot->lock;
  return {books, error};
}

/// Gives back what the books own and borrow in a file that others go on using. Nobody else has the books any more.
void leave_family(ArenaBooks& books) noexcept COW_HELD_UNCHECKED {
  FrameFile& file = books.family.file;
  Lending& lending = books.family.lending;
  {
    FrameRelease freed(file);
    release_unshown_frames(books);
    lending.end_borrowing(books.borrower, {{0}, books.pages}, freed);
  }
  FaultLockHeld held(file.lock());
  books.family.lineage.remove(books.line);
  if (books.borrower.listed) lending.remove(books.borrower);
  lending.give_back(books.loan);
  for (Plane* plane : books.planes) file.disown(*plane);
  if (books.home != nullptr) file.disown(*books.home);
}

constexpr std::uint64_t guard_mappings = 2;

/// The address range, with an inaccessible page or more on each side where the place is ours to choose; then the arena
/// begins at a multiple of `alignment`.
os::Result<AddressRange> reserve_range(std::uint64_t pages, void* address, std::size_t alignment) noexcept {
  const std::size_t page = os::page_size(), guard = address == nullptr ? page : 0;
  const std::size_t to_align = address == nullptr ? std::max(alignment, page) - page : 0;
  const std::size_t bytes = pages * page + 2 * guard + to_align;
  const os::Result<void*> range = os::reserve_addresses(address, bytes);
  if (!range) return {{}, range.error};
  std::byte* const at = static_cast<std::byte*>(range.value);
  const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(at) + guard;
  return {{at, bytes, at + guard + (to_align == 0 ? 0 : (0 - first) % alignment)}, {}};
}

/// What lies in saved files is touched with fewer faults where its blocks are blocks of addresses too.
std::size_t alignment_for(bool saved) noexcept { return saved ? SavedFiles::large_block_bytes : os::page_size(); }

/// Maps the arena over its address range and lets faults find it. The books own the range from here on. Nobody else has
/// them before that.
os::Error open_arena(ArenaBooks& books, const AddressRange& range) noexcept COW_HELD_UNCHECKED {
  books.reservation = range.at;
  books.reserved_bytes = range.bytes;
  books.base = range.base;
  MappingBudget::used.fetch_add(guard_mappings, std::memory_order_relaxed);
  if (const os::Error error = books.barrier->map(books)) return error;
  if (const os::Error error = books.barrier->attach(books)) return error;
  if (const os::Error error = map_excluded(books)) return error;
  if (!books.in_core_dumps) os::hide_from_core_dumps(books.base, books.bytes(books.pages));
  books.count_mappings(books.borrower.base.mappings(books.pages));
  fault_registry::publish(*books.slot, books.base, books.bytes(books.pages), &books, nullptr);
  return {};
}

/// Faults in it are nobody's any more. No lock is held: see fault_registry::withdraw().
void withdraw(ArenaBooks& books) noexcept COW_SIGNALS_BLOCKED {
  if (books.slot != nullptr) fault_registry::withdraw(*books.slot);
}

/// The books let go of the address range, which stays reserved. It is withdrawn: no fault comes in.
void close_arena(ArenaBooks& books) noexcept COW_HELD_UNCHECKED {
  if (!books.mapped()) return;
  books.live_readers.close();
  unmap_home_alias(books);
  books.count_mappings(0 - books.mappings);
  MappingBudget::used.fetch_sub(guard_mappings, std::memory_order_relaxed);
}

/// What the versions still show stays; lists of runs that no loan has kept right are forgotten.
void leave_to_versions(ArenaBooks& books) noexcept COW_IN_OPERATION {
  for (Version& version : books.versions) {
    FaultLockHeld fault_held(*books.fault_lock);
    FaultLockHeld held(books.family.file.lock());
    if (!runs_are_right(version)) version.runs = RunList{};
  }
  FaultLockHeld held(books.family.file.lock());
  Lending::stop_lending(books.lender);
  if (mutant(Mutant::loan_ends_with_arena)) books.family.lending.give_back(std::exchange(books.loan, nullptr));
}

}  // namespace

void destroy_books(ArenaBooks* books) noexcept {
  Family* const family = &books->family;
  const bool alone = family->members.load(std::memory_order_acquire) == 1;
  if (!alone) leave_family(*books);  // else closing the file frees everything at once
  if (books->slot != nullptr) fault_registry::give_back(*books->slot);
  {
    const BookBuffer memory = std::move(books->memory_);  // holds the books themselves
    books->~ArenaBooks();
  }
  if (family->members.fetch_sub(1, std::memory_order_acq_rel) == 1) book_delete(family);
}

namespace {

/// The files are the family's from here on.
os::Error take_over_files(Family& family, SavedContent& content) noexcept {
  for (SavedContent::File& file : content.files) {
    if (const os::Error error = family.file.saved().add(file.fd, file.pages)) return error;
    file.fd = {};
  }
  family.loaded_from.content = content.id;
  return content.whole ? family.loaded_from.runs.copy(content.runs) : os::Error{};
}

const char* why_at_first(Barrier asked, const WriteBarrier& chosen) noexcept {
  if (asked == chosen.kind) return "asked for";
  if (signals_wanted.load(std::memory_order_relaxed)) return why_profile;
  return asked == Barrier::automatic ? "the best guess of automatic" : "asked for kernel, but cuts are not quiet";
}

// Nobody else uses the arena yet.
void note_first_barrier(ArenaBooks& books, Barrier asked, const WriteBarrier& chosen) noexcept COW_HELD_UNCHECKED {
  books.asked = asked;
  books.choice.why = why_at_first(asked, chosen);
}

/// An arena of a new family in an address range, which it takes over once that succeeds.
os::Result<ArenaBooks*> create_in_range(const AddressRange& range, std::uint64_t pages, const char* name,
                                        const WriteBarrier& barrier, const os::Descriptor& barrier_fd,
                                        const ArenaOptions& options, SavedContent* content) noexcept
    COW_SIGNALS_BLOCKED {
  const os::Result<Family*> family = book_new<Family>(pages);
  if (!family) return {nullptr, family.error};
  os::Error opened = family.value->file.open(name);
  if (!opened && content != nullptr) opened = take_over_files(*family.value, *content);
  if (opened) {
    book_delete(family.value);
    return {nullptr, opened};
  }
  os::Result<ArenaBooks*> books = create_books(*family.value, pages);
  if (books.value == nullptr) return book_delete(family.value), books;
  std::strncpy(books.value->name, name, sizeof books.value->name - 1);
  const bool may_be_plain = !signals_wanted.load(std::memory_order_relaxed);
  books.value->use_barrier(barrier, barrier.splits_mappings);
  books.value->barrier_fd = barrier_fd;
  books.value->quiet_cuts = options.quiet_cuts || options.single_writer || options.gate != nullptr;
  books.value->gate = options.gate;
  note_first_barrier(*books.value, options.barrier, barrier);
  books.value->in_core_dumps = options.in_core_dumps;
  if (books && content != nullptr) books.error = books.value->borrower.base.copy(content->runs);
  if (books && may_be_plain && books.value->borrower.base.empty() && fronts::memory_is_told(*books.value)) {
    const WriteBarrier& plain = plain_until_first_cut(barrier);
    books.value->use_barrier(plain, plain.splits_mappings);
  }
  if (books) books.error = open_arena(*books.value, range);
  if (books) return give_signals_if_wanted(*books.value), books;  // a profile may have begun meanwhile
  const os::Error error = books.error;
  withdraw(*books.value);
  close_arena(*books.value);
  destroy_books(books.value);
  return {nullptr, error};
}

}  // namespace

ArenaBooks* create_arena(const ArenaOptions& options, SavedContent* content) {
  const std::uint64_t pages = pages_for(options.capacity);
  check_address(options.address);
  check_reserve(options.reserve_history_bytes);
  const bool quiet = options.quiet_cuts || options.single_writer || options.gate != nullptr;
  const WriteBarrier& chosen = choose_barrier(options.barrier, quiet || process_has_one_thread());
  const bool unwelcome = chosen.collects && signals_wanted.load(std::memory_order_relaxed);
  const WriteBarrier& barrier = unwelcome ? best_with_signals() : chosen;
  const std::string name = options.name.substr(0, longest_name);
  const std::string what = "creating an arena of " + in_bytes(pages * os::page_size()) +
                           (options.address == nullptr ? "" : " at the fixed address " + in_hex(options.address));
  watch_forks();
  prepare_process(barrier.needs_sigbus);

  // The range comes first: nothing else we map can take a fixed address away then.
  const os::Result<AddressRange> range = reserve_range(pages, options.address, alignment_for(content != nullptr));
  if (range.error == os::Error{EEXIST}) {
    throw std::system_error(EEXIST, std::generic_category(), "cow: " + what + ", where something is mapped");
  }
  throw_if(range.error, what);
  const os::Result<os::Descriptor> barrier_fd = barrier.open();
  os::Result<ArenaBooks*> books{nullptr, barrier_fd.error};
  if (books) {
    const os::AsyncSignalsBlocked blocked;
    books = create_in_range(range.value, pages, name.c_str(), barrier, barrier_fd.value, options, content);
  }
  if (!books) os::unmap(range.value.at, range.value.bytes);
  throw_if(books.error, what);
  return books.value;
}

ArenaBooks* create_clone(Version& version) {
  ArenaBooks& of = version.books;
  Family& family = of.family;
  const std::string what = "cloning an arena of " + in_bytes(of.bytes(of.pages));
  keep_handlers_for(of);
  ArenaBooks* clone = nullptr;
  os::Error error;
  {
    const Operation operation(of);
    const os::Result<Loan*> loan = lend_version(version, fair_share_of_mappings());
    throw_if(loan.error, what);
    const os::Result<ArenaBooks*> books = create_books(family, of.pages);
    clone = books.value;
    error = books.error;
    if (!error) error = clone->borrower.base.copy(version.runs);
    if (!error) exclude_as_in(version, *clone);
    if (clone == nullptr) {
      give_back_loan(family, loan.value);
      throw_if(error, what);
    }
    family.members.fetch_add(1, std::memory_order_relaxed);
    clone->base_version = version.name;
    clone->barrier_fd = of.barrier_fd;
    clone->quiet_cuts = of.quiet_cuts;
    clone->gate = of.gate;
    clone->asked = of.asked;
    clone->in_core_dumps = of.in_core_dumps;
    clone->use_barrier(*of.barrier, of.writable_pages_split);
    std::memcpy(clone->name, of.name, sizeof clone->name);
    FaultLockHeld held(family.file.lock());
    clone->loan = loan.value;
    if (!error) error = family.lineage.descend(clone->line, of.line, version.epoch);
    if (!clone->borrower.base.empty()) family.lending.add(clone->borrower, *loan.value);
  }
  os::Result<AddressRange> range;
  const std::size_t alignment = alignment_for(!family.file.saved().empty());
  if (!error) range = reserve_range(of.pages, nullptr, alignment), error = range.error;
  if (!error) error = open_arena(*clone, range.value);
  const std::uint64_t mappings = clone->borrower.base.mappings(clone->pages);
  if (error) destroy_arena(clone);
  throw_if(error, [&] { return what + for_want_of_mappings(error, mappings); });
  const os::AsyncSignalsBlocked blocked;
  give_signals_if_wanted(*clone);  // its arena may be gone, or a profile have begun meanwhile
  return clone;
}

namespace {

void destroy(ArenaBooks& books) noexcept {
  const os::AsyncSignalsBlocked blocked;
  bool last = false;
  std::shared_ptr<CutHook> hook;  // destroyed outside the locks
  withdraw(books);
  {
    const Operation operation(books, blocked);
    const bool mapped = books.mapped();
    drop_idle_view(books);
    close_arena(books);
    if (mapped) os::unmap(books.reservation, books.reserved_bytes);
    leave_to_versions(books);
    hook = std::move(books.hook);
    last = books.versions.empty();
    if (!last) release_unshown_frames(books);
  }
  if (last) destroy_books(&books);
}

}  // namespace

void destroy_arena(ArenaBooks* books) noexcept {
  if (books == nullptr || !of_this_process(*books)) return;
  on_ordinary_stack([&] { destroy(*books); });
}

}  // namespace cow

// How arenas come and go, and versions are lent and released.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "books/arena_books.hpp"
#include "cow/arena.hpp"

namespace cow {

/// Content that an arena begins with, which stays in files. What is taken over of them is taken out of here.
struct SavedContent {
  struct File {
    os::Descriptor fd;
    std::uint64_t pages = 0;
  };
  std::span<File> files;  // by the number that SavedFiles::frame_of() has for each
  RunList runs;
  std::array<std::byte, 16> id{};
};

/// Whether an arena with such options begins under a barrier that puts fronts before frames.
bool begins_with_fronts(const ArenaOptions& options);

/// A new arena of a family of its own.
ArenaBooks* create_arena(const ArenaOptions& options, SavedContent* content = nullptr);

/// A new arena that shows a version's content and borrows its frames.
ArenaBooks* create_clone(Version& version);

/// The arena goes; its versions stay, and the books with them. Does nothing in a fork() child.
void destroy_arena(ArenaBooks* books) noexcept;

/// The books of an arena that is gone go too, with their last version.
void destroy_books(ArenaBooks* books) noexcept;

/// EBADF where writes may have gone unseen. A cut in another thread may change the barrier: takes the fault lock.
os::Error check_barrier(ArenaBooks& books) noexcept;

/// One handle less; with the last one the version goes, and with the last version the books of an arena that is gone.
void release_version(Version* version) noexcept;

/// Lends a version: its runs are listed, short enough to be mapped, and stay as they are until the loan is given back.
/// The operation mutex is held. The holder needs version.runs.mappings() mappings, which is at most `most` where
/// copying the scattered pages once for all holders can achieve that.
os::Result<Loan*> lend_version(Version& version, std::uint64_t most) noexcept COW_IN_OPERATION;
/// Whether a version's list of runs, made for a loan, still tells where its content is.
bool runs_are_right(const Version& version) noexcept COW_IN_OPERATION COW_FAULT_LOCKED COW_FILE_LOCKED;
/// Mappings that one clone or view may take of those that the process has left.
std::uint64_t fair_share_of_mappings() noexcept;
void give_back_loan(Family& family, Loan* loan) noexcept COW_SIGNALS_BLOCKED;

struct LentVersion {
  Version* version = nullptr;  // with a handle; null: there was no memory for it
  Loan* loan = nullptr;        // null: there was no memory for it, or for the list of runs
};
/// Takes the newest version and lends it in one step, unflattened. The operation mutex and the fault lock are held, so
/// that no write comes in between or after.
LentVersion take_and_lend(ArenaBooks& books) noexcept COW_IN_OPERATION COW_FAULT_LOCKED;

}  // namespace cow

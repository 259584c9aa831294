// Layer 7: what every public operation begins with, and how errors become exceptions.
#pragma once

#include <cerrno>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>

#include "amounts.hpp"
#include "arena_books.hpp"
#include "cow/arena.hpp"
#include "cow/snapshot.hpp"
#include "cow/view.hpp"
#include "os.hpp"

namespace cow {

namespace detail {

/// What lies behind the public objects.
struct Access {
  static ArenaBooks* books(const Arena& arena) noexcept { return arena.books_; }
  static Arena arena(ArenaBooks* books) noexcept { return Arena(books); }
  static Version* version(const Snapshot& snapshot) noexcept { return snapshot.version_; }
  static Snapshot snapshot(Version* counted) noexcept { return Snapshot(counted); }
  static View view(MappedView* mapped) noexcept { return View(mapped); }
};

}  // namespace detail

using detail::Access;

inline bool of_this_process(const ArenaBooks& books) noexcept { return books.generation == os::process_generation(); }

constexpr const char* no_arena = "the Arena was moved from; use the one that it was moved to";
constexpr const char* no_arena_ref = "the ArenaRef is empty; Arena::ref() makes one";
constexpr const char* no_snapshot = "the Snapshot is empty or was moved from; Arena::snapshot() makes one";

/// The books behind an object; throws std::logic_error for an empty one, which `what_is_wrong` tells, or in a fork()
/// child.
inline ArenaBooks& usable(ArenaBooks* books, const char* operation, const char* what_is_wrong = no_arena) {
  if (books == nullptr) throw std::logic_error(std::string("cow: ") + operation + ": " + what_is_wrong);
  if (!of_this_process(*books)) {
    throw std::logic_error(std::string("cow: ") + operation +
                           " in a fork() child: the arena belongs to the parent; make one here");
  }
  return *books;
}

inline Version& usable(Version* version, const char* operation) {
  usable(version == nullptr ? nullptr : &version->books, operation, no_snapshot);
  return *version;
}

/// What to do about an error whose own text does not say it.
inline const char* remedy(os::Error error) noexcept {
  switch (error.code) {
    case EBADF: return "; the program has closed descriptors that it did not open, those of its arenas";
    case EFBIG: return "; RLIMIT_FSIZE (ulimit -f) holds for memory files too: raise it before an arena is made";
    case EAGAIN: return "; RLIMIT_MEMLOCK (ulimit -l) is too low for what mlockall(MCL_FUTURE) asks for";
    default: return "";
  }
}

/// `what`: a text, or what makes one, called only when it is needed.
template <class What>
void throw_if(os::Error error, const What& what) {
  if (!error) return;
  if constexpr (std::is_invocable_v<const What&>) {
    throw std::system_error(error.code, std::generic_category(), "cow: " + what() + remedy(error));
  } else {
    throw std::system_error(error.code, std::generic_category(), "cow: " + std::string(what) + remedy(error));
  }
}

/// "1 byte", "65536 bytes", "3221225472 bytes (3.0 GiB)".
inline std::string in_bytes(std::size_t bytes) {
  const std::string exact = counted(bytes, "byte");
  return bytes >> 30 == 0 ? exact : exact + " (" + readable_bytes(bytes) + ")";
}

/// Holds the operation mutex, with asynchronous signals blocked, as the locks taken inside need it.
class Operation {
 public:
  explicit Operation(ArenaBooks& books) : lock_(books.operation) {}

 private:
  os::AsyncSignalsBlocked blocked_;
  std::lock_guard<std::mutex> lock_;
};

/// Keeps whatever must not be cut in half whole while a cut is made. Taken before the operation mutex.
class Cut {
 public:
  explicit Cut(ArenaBooks& books) : books_(books) {
    {
      const std::lock_guard lock(books.operation);
      hook_ = books.hook;
    }
    if (hook_ != nullptr) hook_->before_cut();
  }
  ~Cut() {
    books_.cuts.fetch_add(1, std::memory_order_release);
    if (hook_ != nullptr) hook_->after_cut();
  }
  Cut(const Cut&) = delete;
  Cut& operator=(const Cut&) = delete;

 private:
  ArenaBooks& books_;
  std::shared_ptr<CutHook> hook_;
};

}  // namespace cow

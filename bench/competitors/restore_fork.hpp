// Rollback competitor: a child for each iteration, as fork-server fuzzers do. It writes in its own memory and ends; the
// parent's content never changed. This one cannot keep to the same process, so it has a loop of its own.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include "competitors/memory.hpp"
#include "competitors/restorer.hpp"

namespace bench {

class RestoreFork {
 public:
  static constexpr std::string_view label = "fork an iteration";

  explicit RestoreFork(std::size_t bytes) : heap_(anonymous_memory(bytes)) {
    ::madvise(heap_.data(), bytes, MADV_NOHUGEPAGE);
  }

  std::byte* data() noexcept { return heap_.data(); }
  void save() {}

  /// One whole iteration, its writes in the child.
  void iterate(std::span<const Page> pages, std::uint64_t value) {
    const pid_t child = ::fork();
    if (child < 0) throw_errno("fork");
    if (child == 0) {
      for (const Page page : pages) store_word(heap_.data(), page, value);
      ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
  }

 private:
  Mapping heap_;
};

}  // namespace bench

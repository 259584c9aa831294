// The parent's and the child's side of running seeds: the child marks the seed that it is at in shared memory.
#include "model/seed_runner.hpp"

#include <atomic>
#include <sstream>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "model/world.hpp"
#include "support/child.hpp"
#include "words/mutants.hpp"

namespace cow::model {
namespace {

using Mark = std::atomic<std::uint64_t>;

/// A page that parent and child share, by a descriptor that survives exec.
class SharedMark {
 public:
  explicit SharedMark(int inherited) : fd_(inherited) { map(); }
  SharedMark() : fd_(::memfd_create("seed", 0)) {
    if (::ftruncate(fd_, static_cast<off_t>(page_size())) == 0) map();
  }
  SharedMark(SharedMark&& from) noexcept
      : fd_(std::exchange(from.fd_, -1)), mark_(std::exchange(from.mark_, nullptr)) {}
  SharedMark& operator=(SharedMark&&) = delete;
  ~SharedMark() {
    if (mark_ != nullptr) ::munmap(mark_, page_size());
    if (fd_ >= 0) ::close(fd_);
  }
  int descriptor() const { return fd_; }
  Mark& operator*() const { return *mark_; }

 private:
  void map() {
    void* const page = ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    mark_ = page == MAP_FAILED ? nullptr : static_cast<Mark*>(page);
  }
  int fd_;
  Mark* mark_ = nullptr;
};

Verdict run_one(std::uint64_t seed, const Setting& setting, bool aloud) {
  Trace trace(aloud);
  try {
    RandomBytes choice(seed);
    run(choice, trace, steps_of_a_run, setting);
    return {true, ""};
  } catch (const std::exception& error) {
    return {false, "seed " + std::to_string(seed) + ": " + error.what() + "\n" + trace.last_lines(aloud ? 0 : 40)};
  }
}

void plant([[maybe_unused]] std::size_t mutant) {
#if defined(COW_MUTANTS)
  set_mutant(static_cast<Mutant>(mutant));
#endif
}

COW_CHILD_BODY(run_some_seeds) {
  std::istringstream words(argument);
  SeedRange seeds;
  std::size_t mutant = 0;
  int descriptor = -1;
  std::string setting;
  words >> seeds.first >> seeds.count >> setting >> mutant >> descriptor;
  const SharedMark mark(descriptor);
  plant(mutant);
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    (*mark).store(seed);
    const Verdict verdict = run_one(seed, unpacked(setting), false);
    if (verdict.passed) continue;
    std::fprintf(stderr, "%s", verdict.text.c_str());
    return 1;
  }
  return 0;
}

struct Running {
  test::Child child;
  SharedMark mark;
};

Running start(SeedRange seeds, const Setting& setting, std::size_t mutant) {
  SharedMark mark;
  std::ostringstream words;
  words << seeds.first << ' ' << seeds.count << ' ' << packed(setting) << ' ' << mutant << ' ' << mark.descriptor();
  const test::Child child = test::start_child("run_some_seeds", words.str());
  return {child, std::move(mark)};
}

}  // namespace

Verdict replay(std::uint64_t seed, const Setting& setting) { return run_one(seed, setting, true); }

Verdict run_seeds(SeedRange seeds, const Setting& setting, std::size_t processes, std::chrono::seconds limit,
                  std::size_t mutant) {
  std::vector<Running> running;
  const std::uint64_t end = seeds.first + seeds.count;
  const std::uint64_t share = (seeds.count + processes - 1) / processes;
  for (std::uint64_t first = seeds.first; first < end; first += share)
    running.push_back(start({first, std::min(share, end - first)}, setting, mutant));
  Verdict verdict{true, ""};
  for (const Running& each : running) {
    const test::ChildResult result = test::wait_for(each.child, limit);
    if (result.exited_with(0)) continue;
    verdict.passed = false;
    const std::string seed = std::to_string((*each.mark).load());
    verdict.text += result.exited_with(1) ? result.error_text : "at seed " + seed + " it " + result.how();
    verdict.text += "\nreplay: COW_SEED=" + seed + " with this test\n";
  }
  return verdict;
}

}  // namespace cow::model

// A long computation that is saved every so often by a thread of its own, while it goes on, and goes on from the last
// saved state when it was killed. See README.md beside this file.
#include <cow/cow.hpp>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "../support/command_line.hpp"
#include "computation.hpp"
#include "store.hpp"

namespace {

using checkpoint::Computation;
using checkpoint::Store;

constexpr const char* usage_text = R"(usage: checkpoint [OPTION]... FOLDER

Computes how heat spreads over a plate, and saves its state to FOLDER every so often, as layers, from a
thread of its own. Killed at any moment and started again, it goes on from the last saved state and
comes to the same result.

  --steps N     steps of the whole computation, 1 to 100000000 (default: 20000)
  --every MS    milliseconds between checkpoints, 1 to 1000000 (default: 100)
  --no-sync     do not wait for the disk: a checkpoint survives a kill, not a loss of power
  --help        print this

Exit status: 0 done; 1 it could not run; 2 wrong usage.
)";

struct Options {
  std::string folder;
  std::uint64_t steps = 20'000;
  std::chrono::milliseconds every{100};
  bool sync = true;
};

Options parse(std::span<const char* const> given) {
  Options options;
  for (examples::Arguments arguments(given); !arguments.empty();) {
    const std::string_view argument = arguments.next();
    if (argument == "--steps")
      options.steps = arguments.number_after(argument, 1, 100'000'000);
    else if (argument == "--every")
      options.every = std::chrono::milliseconds(arguments.number_after(argument, 1, 1'000'000));
    else if (argument == "--no-sync")
      options.sync = false;
    else if (argument.starts_with('-') || !options.folder.empty())
      examples::refuse("what is this", argument);
    else
      options.folder = argument;
  }
  if (options.folder.empty()) throw examples::UsageError("where to? A folder, please");
  return options;
}

cow::Arena begin_or_go_on(Store& store) {
  if (!store.empty()) return store.load();
  return cow::Arena({.capacity = checkpoint::bytes_needed, .name = "plate"});
}

/// A bar for saves that take long enough to be seen, on a terminal only.
cow::SaveOptions how_to_save(const Options& options) {
  cow::SaveOptions how;
  how.sync = options.sync;
  if (::isatty(STDERR_FILENO) == 1) {
    how.progress = [](const cow::SaveProgress& progress) {
      std::fprintf(stderr, "\rsaving %3.0f %%",
                   100.0 * static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total + 1));
      return true;
    };
  }
  return how;
}

/// Snapshots between steps, saved while the computation goes on: it waits for the cut alone.
class Checkpoints {
 public:
  Checkpoints(cow::Arena& arena, Store& store, cow::UpdateGate& gate, const Options& options)
      : last_(store.empty() ? ~std::uint64_t{0} : Computation(arena).steps_done()),
        thread_([this, &arena, &store, &gate, &options] { run(arena, store, gate, options); }) {}
  ~Checkpoints() { stop(); }
  Checkpoints(const Checkpoints&) = delete;
  Checkpoints& operator=(const Checkpoints&) = delete;

  /// Throws what went wrong.
  void finish() {
    stop();
    if (failure_ != nullptr) std::rethrow_exception(failure_);
  }
  std::uint64_t count() const noexcept { return count_; }

 private:
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  bool is_done_after(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, time, [this] { return done_; });
  }

  void run(cow::Arena& arena, Store& store, cow::UpdateGate& gate, const Options& options) {
    try {
      while (!is_done_after(options.every)) {
        std::uint64_t number = 0;
        cow::Snapshot snapshot = [&] {
          const cow::UpdateGate::Quiet quiet(gate);
          number = Computation(arena).steps_done();
          return arena.snapshot();
        }();
        if (number == last_) continue;
        store.save(std::move(snapshot), number, how_to_save(options));
        last_ = number;
        ++count_;
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::atomic<std::uint64_t> count_{0};
  std::uint64_t last_;  // the step of the newest checkpoint
  std::exception_ptr failure_;
  std::thread thread_;
};

int run(std::span<const char* const> arguments) {
  const Options options = parse(arguments);
  Store store(options.folder);
  cow::Arena arena = begin_or_go_on(store);
  Computation computation(arena);
  std::printf("%s at step %llu\n", store.empty() ? "begun" : "gone on",
              static_cast<unsigned long long>(computation.steps_done()));
  std::fflush(stdout);
  cow::UpdateGate gate;
  Checkpoints checkpoints(arena, store, gate, options);
  {
    cow::UpdateGate::Updating updating(gate);
    while (computation.steps_done() < options.steps) {
      computation.step();
      updating.between_updates();
    }
  }
  checkpoints.finish();
  std::printf("%llu checkpoints, result %016llx\n", static_cast<unsigned long long>(checkpoints.count()),
              static_cast<unsigned long long>(computation.result()));
  return examples::done;
}

}  // namespace

int main(int argc, char** argv) { return examples::run_program("checkpoint", usage_text, argc, argv, run); }

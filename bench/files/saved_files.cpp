// Saved files beside what one would do by hand: medians of interleaved runs, as ratios. Arguments: MiB of the arena
// (1024), repetitions (5), "cpu" to compare processor time or "clock", a folder for the files (/dev/shm).
#include <cow/cow.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <functional>
#include <random>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t scattered = 1000;

bool by_the_clock = true;  // else the time of this thread on a processor: for machines that others use too

double now_ms() {
  timespec now{};
  ::clock_gettime(by_the_clock ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

double ms_of(const std::function<void()>& step) {
  const double begin = now_ms();
  step();
  return now_ms() - begin;
}

volatile std::uint64_t sink;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Setting {
  std::filesystem::path folder;
  std::size_t bytes;
  int repetitions;
};

/// Words that compress somewhat, as data does.
void fill(cow::Arena& arena) {
  std::mt19937_64 random(1);
  auto* const words = reinterpret_cast<std::uint64_t*>(arena.data());
  for (std::size_t i = 0; i < arena.capacity() / 8; ++i) words[i] = i % 4 == 0 ? random() : i * 977 & 0xffffff;
}

void write_scattered(cow::Arena& arena, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < scattered; ++i) arena.data()[random() % arena.capacity()] = std::byte{1};
}

void write_plainly(const cow::Arena& arena, const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  for (std::size_t at = 0; at < arena.capacity();) {
    const ssize_t some =
        ::write(fd, arena.data() + at, std::min<std::size_t>(std::size_t{1} << 20, arena.capacity() - at));
    if (some <= 0) std::abort();
    at += static_cast<std::size_t>(some);
  }
  ::close(fd);
}

void read_plainly(const std::filesystem::path& path) {
  std::vector<char> buffer(std::size_t{1} << 20);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  while (::read(fd, buffer.data(), buffer.size()) > 0) {
  }
  ::close(fd);
}

std::uint64_t touched(const cow::Arena& arena) {
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at < arena.capacity(); at += 4096) sum += std::to_integer<std::uint64_t>(arena.data()[at]);
  return sum;
}

cow::SaveOptions fast() {
  cow::SaveOptions options;
  options.sync = false;
  return options;
}

void row(const char* name, double ours, double other, double at_most) {
  std::printf("%-66s %9.2f ms  %9.2f ms  %6.3f  (at most %.2f)\n", name, ours, other, ours / other, at_most);
  std::fflush(stdout);
}

void save_whole_and_layer(const Setting& setting) {
  cow::Arena arena({.capacity = setting.bytes});
  fill(arena);
  std::vector<double> plain, whole, layer;
  for (int i = 0; i < setting.repetitions; ++i) {
    const cow::Snapshot first = arena.snapshot();
    plain.push_back(ms_of([&] { write_plainly(arena, setting.folder / "plain"); }));
    std::filesystem::remove(setting.folder / "plain");
    whole.push_back(ms_of([&] { cow::save(first, setting.folder / "whole", fast()); }));
    write_scattered(arena, static_cast<std::uint64_t>(i));
    const cow::Snapshot second = arena.snapshot();
    cow::SaveOptions options = fast();
    options.since = first;
    options.base = setting.folder / "whole";
    layer.push_back(ms_of([&] { cow::save(second, setting.folder / "layer", options); }));
    std::filesystem::remove(setting.folder / "whole");
  }
  row("whole save : write() of the same bytes", median(whole), median(plain), 1.3);
  row("layer of 1,000 scattered pages : whole save", median(layer), median(whole), 0.02);
}

/// Median of loading a file of so many bytes with one layer of scattered pages, lazily.
double lazy_load(const Setting& setting, std::size_t bytes) {
  cow::SaveOptions options = fast();
  {
    cow::Arena arena({.capacity = bytes});
    for (std::size_t at = 0; at < bytes; at += 4096) arena.data()[at] = std::byte{1};
    options.since = arena.snapshot();
    options.base = setting.folder / "whole";
    cow::save(options.since, options.base, fast());
    write_scattered(arena, 1);
    cow::save(arena.snapshot(), setting.folder / "layer", options);
    options.since = {};
  }
  cow::LoadOptions load;
  load.layers = {setting.folder / "layer"};
  std::vector<double> times;
  for (int i = 0; i < 4 * setting.repetitions + 1; ++i) {
    std::optional<cow::Arena> arena;
    times.push_back(ms_of([&] { arena = cow::load(setting.folder / "whole", load); }));
  }
  return median(times);
}

void load_and_touch(const Setting& setting) {
  cow::Arena arena({.capacity = setting.bytes});
  fill(arena);
  cow::save(arena.snapshot(), setting.folder / "whole", fast());
  std::vector<double> lazy, touch, read;
  for (int i = 0; i < setting.repetitions; ++i) {
    read.push_back(ms_of([&] { read_plainly(setting.folder / "whole"); }));
    cow::Arena loaded = cow::load(setting.folder / "whole");
    touch.push_back(ms_of([&] { sink = touched(loaded); }));
    std::optional<cow::Arena> again;
    lazy.push_back(ms_of([&] { again = cow::load(setting.folder / "whole"); }));
  }
  std::printf("%-66s %9.2f ms\n", "lazy load of one file", median(lazy));
  row("touching all after a lazy load : reading the file", median(touch), median(read), 1.3);
}

double first_writes(cow::Arena& arena, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  return ms_of([&] {
    for (std::size_t i = 0; i < 20000; ++i) arena.data()[random() % arena.capacity()] = std::byte{3};
  });
}

/// Beside another thread, until the writer is done. That of the process makes mprotect dear, whatever it does: each
/// protection that changes is told to the other processor.
double first_writes_beside(cow::Arena& arena, std::uint64_t seed, const std::function<void(std::atomic<bool>&)>& step) {
  std::atomic<bool> stop{false};
  std::thread other([&] { step(stop); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const double time = first_writes(arena, seed);
  stop = true;
  other.join();
  return time;
}

void save_until(std::atomic<bool>& stop, const cow::Snapshot& snapshot, const std::filesystem::path& path) {
  cow::SaveOptions options = fast();
  options.progress = [&](const cow::SaveProgress&) { return !stop; };
  while (!stop) {
    try {
      cow::save(snapshot, path, options);
    } catch (const std::system_error&) {
    }
  }
}

void writer_beside_save(const Setting& setting, cow::Barrier barrier, const char* name) {
  cow::Arena arena({.capacity = setting.bytes, .barrier = barrier, .quiet_cuts = barrier == cow::Barrier::kernel});
  fill(arena);
  std::vector<double> alone, beside_nothing, beside;
  std::uint64_t seed = 0;
  for (int i = 0; i < setting.repetitions; ++i) {
    {
      const cow::Snapshot snapshot = arena.snapshot();
      alone.push_back(first_writes(arena, ++seed));
    }
    {
      const cow::Snapshot snapshot = arena.snapshot();
      beside_nothing.push_back(first_writes_beside(arena, ++seed, [](std::atomic<bool>& stop) {
        while (!stop) sink = sink + 1;
      }));
    }
    const cow::Snapshot snapshot = arena.snapshot();
    beside.push_back(first_writes_beside(
        arena, ++seed, [&](std::atomic<bool>& stop) { save_until(stop, snapshot, setting.folder / "whole"); }));
  }
  const std::string what = std::string("20,000 first writes, ") + name + ", beside a save : ";
  row((what + "alone").c_str(), median(beside), median(alone), 1.3);
  row((what + "a busy thread").c_str(), median(beside), median(beside_nothing), 1.3);
}

void compressed(const Setting& setting) {
  if (!by_the_clock || std::system("command -v zstd > /dev/null") != 0) return;
  cow::Arena arena({.capacity = setting.bytes});
  fill(arena);
  const cow::Snapshot snapshot = arena.snapshot();
  write_plainly(arena, setting.folder / "plain");
  const std::string command = "zstd -1 -q -f " + (setting.folder / "plain").string();
  cow::SaveOptions options = fast();
  options.compression = cow::Compression::zstd;
  std::vector<double> ours, program;
  try {
    for (int i = 0; i < setting.repetitions; ++i) {
      program.push_back(ms_of([&] {
        if (std::system(command.c_str()) != 0) std::abort();
      }));
      ours.push_back(ms_of([&] { cow::save(snapshot, setting.folder / "packed", options); }));
    }
  } catch (const std::invalid_argument& without) {
    std::printf("%s\n", without.what());
    return;
  }
  row("save with zstd, level 1 : zstd -1 on the same bytes", median(ours), median(program), 1.2);
}

bool can_be_had(cow::Barrier barrier) {
  try {
    const cow::Arena probe({.capacity = 4096, .barrier = barrier});
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

/// Memory kept for the snapshot at most, as part of the arena, beside a writer of half the save's speed.
double most_kept(const Setting& setting, bool lets_go) {
  cow::Arena arena({.capacity = setting.bytes});
  fill(arena);
  cow::Snapshot last = arena.snapshot();
  const cow::Snapshot kept = lets_go ? cow::Snapshot() : last;
  std::uint64_t most = 0, dirtied = 0, calls = 0;
  std::mt19937_64 random(5);
  cow::SaveOptions options = fast();
  options.progress = [&](const cow::SaveProgress& progress) {
    for (; dirtied < progress.bytes_done / 4096 / 2; ++dirtied)
      arena.data()[random() % arena.capacity()] = std::byte{4};
    if (++calls % 16 == 0) {
      const cow::MemoryAccount account = cow::account_memory(arena);
      most = std::max(most, account.history_bytes + account.history_free_bytes + account.left_behind_bytes);
    }
    return true;
  };
  cow::save(std::move(last), setting.folder / "whole", options);
  return static_cast<double>(most) / static_cast<double>(setting.bytes);
}

}  // namespace

int main(int argc, char** argv) {
  std::string name = std::string(argc > 4 ? argv[4] : "/dev/shm") + "/cow-bench-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) return 1;
  const Setting setting{name, (argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1024) << 20,
                        argc > 2 ? std::atoi(argv[2]) : 5};
  by_the_clock = argc <= 3 || std::strcmp(argv[3], "cpu") != 0;
  std::printf("%zu MiB, medians of %d, %s\n", setting.bytes >> 20, setting.repetitions,
              by_the_clock ? "by the clock" : "time on a processor");
  save_whole_and_layer(setting);
  const double load = lazy_load(setting, setting.bytes), load_of_eight = lazy_load(setting, 8 * setting.bytes);
  std::printf("%-66s %9.2f ms  (at most 2)\n", "lazy load with a layer of 1,000 scattered pages", load);
  row("the same at eight times the size : at one", load_of_eight, load, 1.5);
  load_and_touch(setting);
  writer_beside_save(setting, cow::Barrier::mprotect, "mprotect");
  if (can_be_had(cow::Barrier::userfaultfd)) writer_beside_save(setting, cow::Barrier::userfaultfd, "userfaultfd");
  if (can_be_had(cow::Barrier::kernel)) writer_beside_save(setting, cow::Barrier::kernel, "kernel");
  compressed(setting);
  std::printf("%-66s %9.3f  (at most 0.1)\n", "save(Snapshot&&) beside a writer: memory kept, of the arena",
              most_kept(setting, true));
  std::printf("%-66s %9.3f\n", "save(const Snapshot&) beside it", most_kept(setting, false));
  std::filesystem::remove_all(setting.folder);
  return 0;
}

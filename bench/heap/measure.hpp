// The measurements, for any allocator, as Google Benchmark's benchmarks.
#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "churn.hpp"
#include "mix.hpp"

namespace cow::bench {

/// Time of a replacement, which is two operations. Each thread has its share of the live blocks.
template <class Allocator>
void time_of_mix(benchmark::State& state) {
  static std::unique_ptr<Allocator> heap;
  if (state.thread_index() == 0) heap = std::make_unique<Allocator>();
  static std::unique_ptr<Mix<Allocator>> mixes[16];
  const auto threads = static_cast<std::size_t>(state.threads());
  const auto mine = static_cast<std::size_t>(state.thread_index());
  bool ready = false;
  for (auto _ : state) {
    if (!ready) {  // the first iteration begins when all threads are here
      state.PauseTiming();
      mixes[mine] = std::make_unique<Mix<Allocator>>(*heap, live_blocks / threads, 42 + mine);
      for (std::size_t i = 0; i < 2 * live_blocks / threads; ++i) mixes[mine]->replace_one();
      ready = true;
      state.ResumeTiming();
    }
    mixes[mine]->replace_one();
  }
  mixes[mine].reset();
  state.SetItemsProcessed(2 * state.iterations());
}

/// Time of a replacement, which is two operations, among blocks of all sizes that threads pass on; jobs end meanwhile.
template <class Allocator>
void time_of_churn(benchmark::State& state) {
  static std::unique_ptr<Allocator> heap;
  static std::unique_ptr<Exchange> exchange;
  if (state.thread_index() == 0) {
    heap = std::make_unique<Allocator>();
    exchange = std::make_unique<Exchange>();
  }
  std::unique_ptr<Churn<Allocator>> mine;
  for (auto _ : state) {
    if (mine == nullptr) {  // the first iteration begins when all threads are here
      state.PauseTiming();
      mine = std::make_unique<Churn<Allocator>>(*heap, *exchange, 42 + static_cast<std::uint64_t>(state.thread_index()));
      for (int i = 0; i < 30'000; ++i) mine->replace_one();  // a job and a half: not the heap's first touches
      state.ResumeTiming();
    }
    mine->replace_one();
  }
  if (state.thread_index() == 0) {
    for (std::size_t i = 0; i < Exchange::size(); ++i) mine->release(exchange->swap(i, nullptr));
  }
  if (!mine->is_right()) state.SkipWithError("blocks were damaged");
  state.SetItemsProcessed(2 * state.iterations());
}

/// Resident memory against the sum of what was asked for, after jobs of one thread and what gives free memory back.
template <class Allocator>
void resident_ratio_after_churn(benchmark::State& state) {
  Allocator heap;
  Exchange exchange;
  Churn<Allocator> churn(heap, exchange, 5);
  for (auto _ : state) {
    for (int i = 0; i < 210'000; ++i) churn.replace_one();
  }
  for (std::size_t i = 0; i < Exchange::size(); ++i) churn.release(exchange.swap(i, nullptr));
  churn.fill();
  heap.trim();
  state.counters["ratio"] = static_cast<double>(heap.resident_bytes()) / static_cast<double>(churn.live_bytes());
}

/// Pages whose content changes by 10,000 frees and 10,000 allocations whose blocks are written, after a snapshot.
template <class Allocator>
void pages_dirtied(benchmark::State& state) {
  constexpr int replacements = 10'000;
  Allocator heap;
  Mix<Allocator> mix(heap, live_blocks, 7);
  for (std::size_t i = 0; i < 5 * live_blocks; ++i) mix.replace_and_write_one();
  for (auto _ : state) {
    state.PauseTiming();
    const typename Allocator::Watch watch(heap);
    state.ResumeTiming();
    for (int i = 0; i < replacements; ++i) mix.replace_and_write_one();
    state.PauseTiming();
    state.counters["pages"] = static_cast<double>(watch.pages_changed());
    if (!mix.is_right()) state.SkipWithError("blocks were damaged");
    state.ResumeTiming();
  }
}

/// Resident memory against the sum of what was asked for, after a long mix.
template <class Allocator>
void resident_ratio(benchmark::State& state) {
  Allocator heap;
  Mix<Allocator> mix(heap, live_blocks, 3);
  for (auto _ : state) {
    for (std::size_t i = 0; i < 10 * live_blocks; ++i) mix.replace_and_write_one();
  }
  state.counters["ratio"] = static_cast<double>(heap.resident_bytes()) / static_cast<double>(mix.live_bytes());
}

/// The same with a snapshot after every 10,000 replacements, of which the last is kept.
template <class Allocator>
void resident_ratio_with_snapshots(benchmark::State& state) {
  Allocator heap;
  Mix<Allocator> mix(heap, live_blocks, 3);
  auto latest = heap.snapshot();
  for (auto _ : state) {
    for (std::size_t i = 0; i < 3 * live_blocks; ++i) {
      if (i % 10'000 == 0) latest = heap.snapshot();
      mix.replace_and_write_one();
    }
  }
  latest = {};
  state.counters["ratio"] = static_cast<double>(heap.resident_bytes()) / static_cast<double>(mix.live_bytes());
}

template <class Allocator>
std::string title(const char* measurement) {
  return std::string(measurement) + "/" + Allocator::name;
}

/// One thread is timed by its processor time, which others on the machine disturb less; several by the wall clock.
template <class Allocator>
void add_time() {
  benchmark::RegisterBenchmark(title<Allocator>("mix").c_str(), time_of_mix<Allocator>);
}
template <class Allocator>
void add_time_of_four() {
  benchmark::RegisterBenchmark(title<Allocator>("mix").c_str(), time_of_mix<Allocator>)->Threads(4)->UseRealTime();
}

template <class Allocator>
void add_churn() {
  const std::string name = title<Allocator>("churn");
  benchmark::RegisterBenchmark(name.c_str(), time_of_churn<Allocator>)->UseRealTime();
  benchmark::RegisterBenchmark(name.c_str(), time_of_churn<Allocator>)->Threads(4)->UseRealTime();
  benchmark::RegisterBenchmark(title<Allocator>("resident after churn").c_str(), resident_ratio_after_churn<Allocator>)
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);
}

template <class Allocator>
void add_memory() {
  benchmark::RegisterBenchmark(title<Allocator>("dirtied").c_str(), pages_dirtied<Allocator>)
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark(title<Allocator>("resident").c_str(), resident_ratio<Allocator>)
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace cow::bench

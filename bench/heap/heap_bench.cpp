// cow::Heap beside the heaps that a program may choose from, in one run, in random order.
#include "allocators/cow_heap.hpp"
#include "allocators/interprocess.hpp"
#include "allocators/process_heap.hpp"
#include "measure.hpp"
#include "report.hpp"
#include "run.hpp"

int main(int argc, char** argv) {
  using namespace cow::bench;
  add_time<CowHeap>();
  add_time_of_four<CowHeap>();
  add_time<Malloc>();
  add_time_of_four<Malloc>();
  add_time<Interprocess>();
  add_time<PmrPool>();
  add_churn<CowHeap>();
  add_churn<Malloc>();
  add_memory<CowHeap>();
  add_memory<Malloc>();
  add_memory<Interprocess>();
  add_memory<PmrPool>();
  benchmark::RegisterBenchmark("resident with snapshots/cow::Heap", resident_ratio_with_snapshots<CowHeap>)
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);

  Report report;
  if (!run(argc, argv, report)) return 1;
  print_figures(report, {CowHeap::name, Malloc::name, Interprocess::name, PmrPool::name});
  print_promises(report);
}

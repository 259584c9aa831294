// mimalloc, measured as the others are, in a program of its own: linking it replaces malloc everywhere.
#include <mimalloc.h>

#include "allocators/process_heap.hpp"
#include "measure.hpp"
#include "report.hpp"
#include "run.hpp"

namespace cow::bench {

class Mimalloc : public ProcessHeap {
 public:
  static constexpr const char* name = "mimalloc";
  Mimalloc() : ProcessHeap(resident_at_start()) { mi_collect(true); }
  void* allocate(std::size_t bytes) { return mi_malloc(bytes); }
  void deallocate(void* block, std::size_t) noexcept { mi_free(block); }
  void trim() { mi_collect(true); }

  /// First called before anything is measured.
  static std::size_t resident_at_start() {
    static const std::size_t bytes = private_resident_bytes();
    return bytes;
  }
};

}  // namespace cow::bench

int main(int argc, char** argv) {
  using namespace cow::bench;
  (void)Mimalloc::resident_at_start();
  add_time<Mimalloc>();
  add_time_of_four<Mimalloc>();
  add_churn<Mimalloc>();
  add_memory<Mimalloc>();
  Report report;
  if (!run(argc, argv, report)) return 1;
  print_figures(report, {Mimalloc::name});
}

// The model under libFuzzer: its input decides each operation. A difference is told with all operations before it, and
// ends the program as a finding; its input replays it.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "model/world.hpp"

namespace {

constexpr std::size_t most_steps = 400;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cow::model::GivenBytes choice({data, size});
  cow::model::Trace trace(std::getenv("COW_FUZZ_ALOUD") != nullptr);  // shows the last operation before a crash
  try {
    cow::model::run(choice, trace, most_steps);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n%s", error.what(), trace.last_lines(most_steps).c_str());
    std::abort();
  }
  return 0;
}

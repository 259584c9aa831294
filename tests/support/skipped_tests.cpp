// In every test program: a test that was skipped leaves why in the file that COW_SKIPPED_TESTS names. ctest itself shows
// names only; tests/skipped.cmake tells the reasons at the end.
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace {

class TellsWhySkipped : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& test) override {
    const char* const file = std::getenv("COW_SKIPPED_TESTS");
    if (file == nullptr || !test.result()->Skipped()) return;
    std::string line;
    for (int i = 0; i < test.result()->total_part_count(); ++i) {
      const testing::TestPartResult& part = test.result()->GetTestPartResult(i);
      if (part.skipped()) line += part.message();
    }
    if (line.empty()) line = "without a reason";
    line = line.substr(0, line.find('\n')) + " | " + test.test_suite_name() + "." + test.name() + "\n";
    const int fd = ::open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) return;
    (void)!::write(fd, line.data(), line.size());  // whole, beside other programs
    ::close(fd);
  }
};

const bool listening = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new TellsWhySkipped);
  return true;
}();

}  // namespace

// The command line of the example.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "../../examples/what_if/options.hpp"

namespace what_if {
namespace {

Options parse(const std::vector<const char*>& arguments) { return parse_options(arguments); }

TEST(Options, tell_files_from_packages_by_the_slash) {
  const Options options = parse({"perl", "./status", "libc6:i386"});
  EXPECT_EQ(options.file, "./status");
  EXPECT_EQ(options.packages, (std::vector<std::string>{"perl", "libc6:i386"}));
}

TEST(Options, have_defaults) {
  const Options options = parse({});
  EXPECT_EQ(options.file, "/var/lib/dpkg/status");
  EXPECT_TRUE(options.packages.empty());
  EXPECT_EQ(options.most, 8u);
  EXPECT_FALSE(options.verbose || options.names_only);
}

TEST(Options, take_numbers_and_flags) {
  const Options options = parse({"--most", "3", "--threads", "16", "--verbose", "--names"});
  EXPECT_EQ(options.most, 3u);
  EXPECT_EQ(options.threads, 16u);
  EXPECT_TRUE(options.verbose && options.names_only);
}

TEST(Options, refuse_what_makes_no_sense) {
  for (const std::vector<const char*>& wrong : std::vector<std::vector<const char*>>{{"--most"},
                                                                                     {"--most", "0"},
                                                                                     {"--most", "-1"},
                                                                                     {"--most", "3x"},
                                                                                     {"--threads", ""},
                                                                                     {"--threads", "1001"},
                                                                                     {"--nonsense"},
                                                                                     {"-v"},
                                                                                     {""},
                                                                                     {"./a", "./b"}}) {
    EXPECT_THROW(parse(wrong), examples::UsageError) << wrong.front();
  }
}

}  // namespace
}  // namespace what_if

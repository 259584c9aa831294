// Debian's order of versions: the cases that its definition names, and dpkg itself as the judge of random ones.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "../../examples/what_if/debian_version.hpp"
#include "../support/environment.hpp"

namespace what_if {
namespace {

/// Each line older than the next.
const std::vector<std::string> ascending = {
    "~~", "~~a", "~", "",  // deb-version(7)'s own example of ~ and the end
    "0.9", "1.0~rc1", "1.0~rc1+b1", "1.0", "1.0a", "1.0+b1", "1.0.1", "1.2", "1.10", "1.10-0.1", "1.10-1~bpo",
    "1.10-1", "1.10-1+deb12u1", "1.10-1+deb12u10", "1.10-2", "9", "10", "100000000000000000000000000000001", "a", "a+",
    "1:0", "1:0.1", "2:0~", "10:0",
};

TEST(DebianVersion, orders_a_ladder_of_versions) {
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(compare_versions(ascending[i], ascending[j]), i <=> j) << ascending[i] << " and " << ascending[j];
    }
  }
}

TEST(DebianVersion, finds_versions_the_same_that_are_written_differently) {
  const std::pair<const char*, const char*> same[] = {
      {"1", "0:1"}, {"1.0", "1.00"}, {"1", "1-0"}, {"1", "1-"}, {"1.02", "1.2"}, {"00:1-1", "0:1-01"}, {"1a", "1a0"}};
  for (const auto& [a, b] : same) EXPECT_TRUE(compare_versions(a, b) == 0) << a << " and " << b;
}

TEST(DebianVersion, takes_the_last_dash_for_the_revision_and_the_first_colon_for_the_epoch) {
  EXPECT_TRUE(compare_versions("1-2-3", "1-2-4") < 0);
  EXPECT_TRUE(compare_versions("1-10-1", "1-9-2") > 0);
  EXPECT_TRUE(compare_versions("1-a", "1-2-b") < 0);  // 1 and 1-2, not a and 2-b
  EXPECT_TRUE(compare_versions("1:2:3", "1:2:10") < 0);
}

TEST(DebianVersion, puts_letters_before_other_signs) {
  EXPECT_TRUE(compare_versions("1.0z", "1.0+") < 0);
  EXPECT_TRUE(compare_versions("1.0Z", "1.0a") < 0);
}

std::string random_version(std::mt19937_64& random) {
  static constexpr std::string_view alphabet = "0019aZz.+~~";
  const auto part = [&](std::size_t longest) {
    std::string text;
    for (std::size_t size = random() % longest; size > 0; --size) text += alphabet[random() % alphabet.size()];
    return text;
  };
  std::string version = random() % 3 == 0 ? std::to_string(random() % 3) + ":" : "";
  version += std::to_string(random() % 3) + part(6);  // dpkg asks that the upstream version starts with a digit
  if (random() % 2 == 0) version += "-" + std::to_string(random() % 2) + part(4);
  return version;
}

TEST(DebianVersion, agrees_with_dpkg_on_random_versions) {
  if (std::system("dpkg --compare-versions 1 lt 2 2> /dev/null") != 0) GTEST_SKIP() << "there is no dpkg";
  const std::uint64_t seed = cow::test::seed_or(20240611);
  SCOPED_TRACE("replay with COW_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  // One shell asks dpkg about all of a round: starting it is what takes the time.
  std::string script;
  for (int i = 0; i < 250; ++i) {
    const std::string a = random_version(random);
    const std::string b = random() % 8 == 0 ? a + "-0" : random_version(random);
    const auto order = compare_versions(a, b);
    const char* const relation = order < 0 ? "lt" : order > 0 ? "gt" : "eq";
    script += "dpkg --compare-versions '" + a + "' " + relation + " '" + b + "' || { echo '" + a + " not " + relation +
              " " + b + "'; exit 1; }\n";
  }
  EXPECT_EQ(std::system(script.c_str()), 0);
}

}  // namespace
}  // namespace what_if

// What has to go with a package, rule by rule. apt gave the same answers to these questions.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "database.hpp"

namespace what_if::test {
namespace {

using Names = std::set<std::string>;

TEST(Removal, takes_along_what_depends_on_it_however_far) {
  Database database(installed("a") + installed("b", "Depends: a\n") + installed("c", "Pre-Depends: b\n") +
                    installed("d", "Recommends: a\nSuggests: b\n") + installed("e"));
  EXPECT_EQ(database.gone_with("a"), (Names{"a", "b", "c"}));
  EXPECT_EQ(database.gone_with("c"), (Names{"c"}));
}

TEST(Removal, leaves_what_an_alternative_still_holds) {
  Database database(installed("a") + installed("b") + installed("user", "Depends: a | b\n") +
                    installed("both", "Depends: a, b\n") + installed("needs-both", "Depends: both | missing\n"));
  EXPECT_EQ(database.gone_with("a"), (Names{"a", "both", "needs-both"}));
}

TEST(Removal, takes_a_package_when_the_last_of_several_alternatives_goes) {
  Database database(installed("base") + installed("a", "Depends: base\n") + installed("b", "Depends: base\n") +
                    installed("user", "Depends: a | b\n"));
  EXPECT_EQ(database.gone_with("base"), (Names{"base", "a", "b", "user"}));
}

TEST(Removal, counts_a_package_once_that_meets_a_dependency_twice) {
  Database database(installed("a", "Provides: virtual\n") + installed("b", "Provides: virtual\n") +
                    installed("user", "Depends: a | virtual\n"));
  EXPECT_EQ(database.gone_with("a"), (Names{"a"}));
  Database alone(installed("a", "Provides: virtual\n") + installed("user", "Depends: a | virtual\n"));
  EXPECT_EQ(alone.gone_with("a"), (Names{"a", "user"}));
}

TEST(Removal, goes_around_a_circle_once) {
  Database database(installed("a", "Depends: b\n") + installed("b", "Depends: c\n") + installed("c", "Depends: a\n") +
                    installed("self", "Depends: self, a\n"));
  EXPECT_EQ(database.gone_with("b"), (Names{"a", "b", "c", "self"}));
}

TEST(Removal, does_not_let_a_circle_hold_itself_up) {
  Database database(installed("base") + installed("a", "Depends: b, base\n") + installed("b", "Depends: a\n"));
  EXPECT_EQ(database.gone_with("base"), (Names{"base", "a", "b"}));
}

TEST(Removal, heeds_the_versions_of_packages) {
  Database database(installed("a", "", "2:1.0") + installed("b", "", "1.0~rc1") +
                    installed("one", "Depends: a (>= 1.5) | b (>= 1.0)\n") +
                    installed("two", "Depends: a (= 2:1.0-0) | b (<< 1.0)\n"));
  EXPECT_EQ(database.gone_with("a"), (Names{"a", "one"}));
}

TEST(Removal, lets_only_a_versioned_provision_meet_a_versioned_relation) {
  Database database(installed("real") + installed("plain", "Provides: virtual\n", "9") +
                    installed("versioned", "Provides: virtual (= 2)\n") +
                    installed("any", "Depends: virtual\n") + installed("two", "Depends: virtual (>= 2)\n") +
                    installed("three", "Depends: virtual (>= 3) | real\n"));
  EXPECT_EQ(database.gone_with("versioned"), (Names{"versioned", "two"}));
  EXPECT_EQ(database.gone_with("plain"), (Names{"plain"}));
  EXPECT_EQ(database.gone_with("real"), (Names{"real", "three"}));
}

TEST(Removal, sets_aside_what_was_never_met) {
  Database database(installed("a") + installed("broken", "Depends: missing, a\n") +
                    installed("only-broken", "Depends: missing\n"));
  EXPECT_EQ(database.graph().unmet_clauses, 2u);
  EXPECT_EQ(database.gone_with("a"), (Names{"a", "broken"}));
  EXPECT_EQ(database.gone_with("broken"), (Names{"broken"}));
}

TEST(Removal, heeds_architectures_as_dpkg_does) {
  const std::string i386 = "Architecture: i386\n";
  Database database(installed("dpkg") + installed("lib", "Multi-Arch: same\n") +
                    installed("lib", i386 + "Multi-Arch: same\n") + installed("tool", "Multi-Arch: foreign\n") +
                    installed("script", "Multi-Arch: allowed\n") + installed("docs", "Architecture: all\n") +
                    installed("native-user", "Depends: lib\n") +
                    installed("foreign-user", i386 + "Depends: lib, tool\n") +
                    installed("explicit", "Depends: lib:i386\n") +
                    installed("any", i386 + "Depends: script:any\n") +
                    installed("strict", i386 + "Depends: script\n") + installed("any-tool", "Depends: tool:any\n") +
                    installed("reader", "Depends: docs\n") + installed("foreign-reader", i386 + "Depends: docs\n"));
  EXPECT_EQ(database.gone_with("lib"), (Names{"lib", "native-user"}));
  EXPECT_EQ(database.gone_with("lib:i386"), (Names{"lib:i386", "foreign-user:i386", "explicit"}));
  EXPECT_EQ(database.gone_with("tool"), (Names{"tool", "foreign-user:i386"}));
  EXPECT_EQ(database.gone_with("script"), (Names{"script", "any:i386"}));
  EXPECT_EQ(database.gone_with("docs"), (Names{"docs", "reader"}));
  EXPECT_EQ(database.graph().unmet_clauses, 3u);  // of strict, any-tool and foreign-reader
}

TEST(Removal, adds_up_the_sizes_and_says_why) {
  Database database(installed("a", "Installed-Size: 100\n") +
                    installed("b", "Installed-Size: 20\nDepends: a (>= 1) | z\n") +
                    installed("c", "Depends: b\n"));
  World world = removed_in_clone(database.arena().snapshot(), "a");
  EXPECT_EQ(world.removal.packages, 3u);
  EXPECT_EQ(world.removal.freed_kib, 120u);
  EXPECT_EQ(database.graph().sizeless_packages, 1u);
  auto gone = world.graph().gone.begin();
  EXPECT_FALSE(gone->lost);
  EXPECT_EQ((++gone)->lost->text.view(), "a (>= 1) | z");
  EXPECT_EQ((++gone)->lost->text.view(), "b");
}

}  // namespace
}  // namespace what_if::test

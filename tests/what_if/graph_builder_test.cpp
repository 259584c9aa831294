// Which stanzas count, what is said about those that make no sense, and how packages are found.
#include <gtest/gtest.h>

#include <new>
#include <string>

#include "../../examples/what_if/near_names.hpp"
#include "database.hpp"

namespace what_if::test {
namespace {

std::string complaint(const std::string& text) {
  try {
    const Database database(text);
    return {};
  } catch (const DatabaseError& error) {
    return error.what();
  }
}

TEST(GraphBuilder, counts_only_what_is_installed) {
  const auto with_status = [](const std::string& name, const std::string& status) {
    return "Package: " + name + "\nStatus: " + status + "\nVersion: 1\n\n";
  };
  Database database(with_status("a", "install ok installed") + with_status("b", "hold ok installed") +
                    with_status("c", "install ok triggers-awaited") + with_status("d", "install  ok triggers-pending") +
                    with_status("e", "deinstall ok config-files") + with_status("f", "install ok half-installed") +
                    with_status("g", "install ok unpacked") + with_status("h", "purge ok not-installed"));
  std::string names;
  for (const Package& package : database.graph().packages) names += package.name.view();
  EXPECT_EQ(names, "abcd");
}

TEST(GraphBuilder, takes_the_newest_of_an_archives_versions) {
  Database database(std::string("Package: a\nVersion: 1.9\nArchitecture: all\n\nPackage: b\nVersion: 1\n\n"
                                "Package: a\nVersion: 1.10\nArchitecture: all\n\n"
                                "Package: a\nVersion: 1.2\nArchitecture: all\n\n"));
  EXPECT_EQ(database.graph().package_count, 2u);
  EXPECT_EQ(find_package(database.graph(), "a")->version.view(), "1.10");
}

TEST(GraphBuilder, names_the_line_of_a_field_that_makes_no_sense) {
  EXPECT_EQ(complaint("Package: a\nStatus: installed\nVersion: 1\n\n"),
            "line 2: expected three words in Status, found 'installed'");
  EXPECT_EQ(complaint("Package: a\n\n"), "line 1: the stanza that starts on line 1 (a) has no Version");
  EXPECT_EQ(complaint("Package: a\nVersion: 1\nInstalled-Size: 12 kB\n\n"),
            "line 3: Installed-Size is not a number: '12 kB'");
  EXPECT_EQ(complaint("Package: a\nVersion: 1\nMulti-Arch: maybe\n\n"), "line 3: unknown Multi-Arch 'maybe'");
  EXPECT_EQ(complaint("Package: a\nVersion: 1\nDepends: b,\n\n"),
            "line 3: cannot read the relation '': expected a package name");
}

TEST(GraphBuilder, says_so_when_the_arena_is_full) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += installed("p" + std::to_string(i));
  cow::ArenaOptions options;
  options.capacity = cow::page_size();
  cow::Arena arena(options);
  GraphBuilder builder(ArenaMemory::format(arena));
  EXPECT_THROW(builder.build(installed_stanzas(read_stanzas(text))), std::bad_alloc);
}

TEST(Graph, finds_the_machines_own_architecture_first) {
  Database database(installed("a", "Architecture: i386\n") + installed("a") + installed("b", "Architecture: i386\n") +
                    installed("dpkg"));
  EXPECT_EQ(find_package(database.graph(), "a")->architecture.view(), "amd64");
  EXPECT_EQ(find_package(database.graph(), "a:i386")->architecture.view(), "i386");
  EXPECT_EQ(find_package(database.graph(), "b")->architecture.view(), "i386");
  EXPECT_EQ(find_package(database.graph(), "a:arm64"), nullptr);
  EXPECT_EQ(find_package(database.graph(), "c"), nullptr);
  EXPECT_EQ(full_name(database.graph(), *find_package(database.graph(), "b")), "b:i386");
}

TEST(Graph, ranks_packages_by_how_many_would_fall_with_them_at_once) {
  Database database(installed("a") + installed("b", "Provides: b-too\n") + installed("x", "Depends: a, b, b-too\n") +
                    installed("y", "Depends: b | b-too\n") + installed("z", "Depends: a | b, y\n"));
  EXPECT_EQ(count_leaning_on(*find_package(database.graph(), "a")), 1u);
  EXPECT_EQ(count_leaning_on(*find_package(database.graph(), "b")), 2u);
  EXPECT_EQ(most_leaned_on(database.graph(), 3), (std::vector<std::string>{"b", "a", "y"}));
  EXPECT_EQ(most_leaned_on(database.graph(), 100).size(), 5u);
}

TEST(NearNames, offers_what_may_have_been_meant) {
  Database database(installed("libssl3") + installed("libssh2-1") + installed("openssl") + installed("perl"));
  EXPECT_EQ(near_names(database.graph(), "libsl3").front(), "libssl3");
  EXPECT_EQ(near_names(database.graph(), "ssl"), (std::vector<std::string>{"libssl3", "openssl"}));
  EXPECT_TRUE(near_names(database.graph(), "nothing-like-it").empty());
  EXPECT_TRUE(near_names(database.graph(), "").empty());
}

TEST(NearNames, counts_letters_to_change) {
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("same", "same"), 0u);
}

}  // namespace
}  // namespace what_if::test

// Reading dependency fields, and what is said about those that cannot be read.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "../../examples/what_if/relation.hpp"

namespace what_if {
namespace {

std::vector<Relation> read(std::string_view dependency) {
  std::vector<Relation> relations;
  for_each_alternative(dependency, 7, [&](const Relation& relation) { relations.push_back(relation); });
  return relations;
}

std::string complaint(const std::string& dependency) {
  try {
    read(dependency);
    return {};
  } catch (const DatabaseError& error) {
    return error.what();
  }
}

TEST(Relation, reads_names_architectures_and_versions) {
  const auto relations = read("libc6 (>= 2.34) | perl:any|g++-12:amd64 ( << 1:2~ ) | 0ad(=1)");
  ASSERT_EQ(relations.size(), 4u);
  EXPECT_EQ(relations[0].name, "libc6");
  EXPECT_EQ(relations[0].comparison, Comparison::later_or_equal);
  EXPECT_EQ(relations[0].version, "2.34");
  EXPECT_EQ(relations[1].name, "perl");
  EXPECT_EQ(relations[1].architecture, "any");
  EXPECT_EQ(relations[1].comparison, Comparison::any);
  EXPECT_EQ(relations[2].name, "g++-12");
  EXPECT_EQ(relations[2].architecture, "amd64");
  EXPECT_EQ(relations[2].comparison, Comparison::earlier);
  EXPECT_EQ(relations[2].version, "1:2~");
  EXPECT_EQ(relations[3].name, "0ad");
  EXPECT_EQ(relations[3].comparison, Comparison::equal);
}

TEST(Relation, splits_a_field_into_its_dependencies) {
  std::vector<std::string_view> parts;
  for_each_dependency(Field{"a (>= 1),\n b | c ,d", 1}, [&](std::string_view part) { parts.push_back(part); });
  EXPECT_EQ(parts, (std::vector<std::string_view>{"a (>= 1)", "b | c", "d"}));
  for_each_dependency(Field{"", 1}, [&](std::string_view) { FAIL() << "an empty field has no dependencies"; });
}

TEST(Relation, allows_what_each_comparison_says) {
  const struct {
    const char* relation;
    bool older, same, newer;
  } cases[] = {{"a", true, true, true},
               {"a (<< 1.0)", true, false, false},
               {"a (<= 1.0)", true, true, false},
               {"a (= 1.0)", false, true, false},
               {"a (>= 1.0)", false, true, true},
               {"a (>> 1.0)", false, false, true},
               {"a (< 1.0)", true, true, false},
               {"a (> 1.0)", false, true, true}};
  for (const auto& expected : cases) {
    const Relation relation = read(expected.relation).front();
    EXPECT_EQ(allows(relation, "1.0~rc1"), expected.older) << expected.relation;
    EXPECT_EQ(allows(relation, "1.00"), expected.same) << expected.relation;
    EXPECT_EQ(allows(relation, "1.0-1"), expected.newer) << expected.relation;
  }
}

TEST(Relation, refuses_what_is_none_and_names_the_line) {
  EXPECT_EQ(complaint(""), "line 7: cannot read the relation '': expected a package name");
  EXPECT_EQ(complaint("a |"), "line 7: cannot read the relation '': expected a package name");
  EXPECT_EQ(complaint("-a"), "line 7: cannot read the relation '-a': expected a package name");
  EXPECT_EQ(complaint("a:"), "line 7: cannot read the relation 'a:': expected an architecture");
  EXPECT_EQ(complaint("a b"), "line 7: cannot read the relation 'a b': something after it");
  EXPECT_EQ(complaint("a (1)"), "line 7: cannot read the relation 'a (1)': expected one of << <= = >= >>");
  EXPECT_EQ(complaint("a (>= 1"), "line 7: cannot read the relation 'a (>= 1': expected ) after the version");
  EXPECT_EQ(complaint("a (>= )"), "line 7: cannot read the relation 'a (>= )': expected a version");
  EXPECT_EQ(complaint("a (>= 1 2)"), "line 7: cannot read the relation 'a (>= 1 2)': expected a version");
  EXPECT_EQ(complaint("a (= 1) (= 2)"), "line 7: cannot read the relation 'a (= 1) (= 2)': something after it");
}

}  // namespace
}  // namespace what_if

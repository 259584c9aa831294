// Random databases, every question asked of each, answered a second time by the definition in the plainest words.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "../support/environment.hpp"
#include "database.hpp"

namespace what_if::test {
namespace {

struct PlainRelation {
  std::string name, architecture, comparison, version;
};

struct PlainPackage {
  std::string name, architecture, multi_arch, version;
  std::vector<PlainRelation> provides;
  std::vector<std::vector<PlainRelation>> depends;

  std::string full_name() const { return architecture == "i386" ? name + ":i386" : name; }
};

/// Makes small databases in which everything is likely to meet everything.
class Maker {
 public:
  explicit Maker(std::uint64_t seed) : random_(seed) {}

  std::vector<PlainPackage> make() {
    std::vector<PlainPackage> packages{{"dpkg", "amd64", "", "1", {}, {}}};
    for (std::size_t i = 0, count = 2 + below(14); i < count; ++i) {
      PlainPackage package{"p" + std::to_string(i), one_of({"amd64", "amd64", "amd64", "all", "i386"}),
                           one_of({"", "same", "foreign", "allowed"}), one_of(versions), {}, {}};
      if (package.architecture == "all" && package.multi_arch == "same") package.multi_arch = "";
      for (std::size_t n = below(3); n > 0; --n) {
        package.provides.push_back({"v" + std::to_string(below(4)), "", below(2) == 0 ? "=" : "", one_of(versions)});
      }
      for (std::size_t n = below(4); n > 0; --n) package.depends.push_back(dependency(count));
      packages.push_back(package);
    }
    return packages;
  }

 private:
  inline static const std::vector<std::string> versions{"1", "1.0", "1.1~rc", "1.1", "1:0.5", "2-1"};

  std::vector<PlainRelation> dependency(std::size_t packages) {
    std::vector<PlainRelation> alternatives;
    for (std::size_t n = 1 + below(3) / 2; n > 0; --n) {
      const bool is_virtual = below(4) == 0;
      const std::string name = (is_virtual ? "v" : "p") + std::to_string(below(is_virtual ? 4 : packages + 1));
      alternatives.push_back({name, one_of({"", "", "", "", "any", "amd64", "i386"}),
                              one_of({"", "", "<<", "<=", "=", ">=", ">>"}), one_of(versions)});
    }
    return alternatives;
  }

  std::size_t below(std::size_t limit) { return random_() % limit; }
  std::string one_of(const std::vector<std::string>& choices) { return choices[below(choices.size())]; }

  std::mt19937_64 random_;
};

std::string text_of(const PlainRelation& relation) {
  std::string text = relation.name;
  if (!relation.architecture.empty()) text += ":" + relation.architecture;
  if (!relation.comparison.empty()) text += " (" + relation.comparison + " " + relation.version + ")";
  return text;
}

std::string text_of(const PlainPackage& package) {
  std::string fields = "Architecture: " + package.architecture + "\n";
  if (!package.multi_arch.empty()) fields += "Multi-Arch: " + package.multi_arch + "\n";
  const char* separator = "Provides: ";
  for (const PlainRelation& provided : package.provides) fields += std::exchange(separator, ", ") + text_of(provided);
  if (!package.provides.empty()) fields += "\n";
  separator = "Depends: ";
  for (const auto& alternatives : package.depends) {
    for (const PlainRelation& relation : alternatives) fields += std::exchange(separator, " | ") + text_of(relation);
    separator = ", ";
  }
  if (!package.depends.empty()) fields += "\n";
  return installed(package.name, fields, package.version);
}

bool meets(const std::string& version, const PlainRelation& relation) {
  const auto order = compare_versions(version, relation.version);
  if (relation.comparison == "<<") return order < 0;
  if (relation.comparison == "<=") return order <= 0;
  if (relation.comparison == "=") return order == 0;
  if (relation.comparison == ">=") return order >= 0;
  if (relation.comparison == ">>") return order > 0;
  return true;
}

bool meets(const PlainPackage& package, const PlainRelation& relation, const PlainPackage& owner) {
  const auto own = [](const std::string& architecture) { return architecture == "all" ? "amd64" : architecture; };
  const std::string& wanted = relation.architecture.empty() ? owner.architecture : relation.architecture;
  bool fits = own(package.architecture) == own(wanted);
  if (relation.architecture == "any") fits = package.multi_arch == "allowed";
  if (relation.architecture.empty() && package.multi_arch == "foreign") fits = true;
  if (!fits) return false;
  if (package.name == relation.name && meets(package.version, relation)) return true;
  return std::any_of(package.provides.begin(), package.provides.end(), [&](const PlainRelation& provided) {
    if (provided.name != relation.name) return false;
    return relation.comparison.empty() || (!provided.comparison.empty() && meets(provided.version, relation));
  });
}

bool is_met(const std::vector<PlainRelation>& alternatives, const PlainPackage& owner,
            const std::vector<const PlainPackage*>& present) {
  return std::any_of(present.begin(), present.end(), [&](const PlainPackage* package) {
    return std::any_of(alternatives.begin(), alternatives.end(),
                       [&](const PlainRelation& relation) { return meets(*package, relation, owner); });
  });
}

/// The definition: take away whatever has a dependency that was met and is not any more, until there is no such thing.
std::set<std::string> gone_by_definition(const std::vector<PlainPackage>& packages, const PlainPackage& removed) {
  std::vector<const PlainPackage*> all, present;
  for (const PlainPackage& package : packages) {
    all.push_back(&package);
    if (&package != &removed) present.push_back(&package);
  }
  std::set<std::string> gone{removed.full_name()};
  const auto cannot_stay = [&](const PlainPackage* package) {
    return std::any_of(package->depends.begin(), package->depends.end(), [&](const auto& alternatives) {
      return is_met(alternatives, *package, all) && !is_met(alternatives, *package, present);
    });
  };
  for (;;) {
    const auto found = std::find_if(present.begin(), present.end(), cannot_stay);
    if (found == present.end()) return gone;
    gone.insert((*found)->full_name());
    present.erase(found);
  }
}

TEST(RandomDatabases, are_answered_as_the_definition_says) {
  const std::uint64_t first_seed = cow::test::seed_or(1);
  const std::uint64_t rounds = cow::test::under_sanitizer ? 100 : 1000;
  std::size_t most_gone = 0;
  for (std::uint64_t seed = first_seed; seed < first_seed + rounds; ++seed) {
    const std::vector<PlainPackage> packages = Maker(seed).make();
    std::string text;
    for (const PlainPackage& package : packages) text += text_of(package);
    Database database(text);
    for (const PlainPackage& package : packages) {
      const std::set<std::string> expected = gone_by_definition(packages, package);
      most_gone = std::max(most_gone, expected.size());
      ASSERT_EQ(database.gone_with(package.full_name()), expected)
          << "without " << package.full_name() << "; replay with COW_SEED=" << seed << "\n" << text;
    }
  }
  EXPECT_GE(most_gone, 5u) << "the random databases are too loose to test anything";
}

}  // namespace
}  // namespace what_if::test

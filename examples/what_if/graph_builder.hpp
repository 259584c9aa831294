// Builds the graph of the installed packages in an arena, from the stanzas of a database.
// Decides what counts as installed and which packages meet which clause.
#pragma once

#include <algorithm>
#include <bit>
#include <charconv>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph.hpp"
#include "relation.hpp"
#include "stanza_reader.hpp"

namespace what_if {

namespace detail {

/// Whether dpkg counts a package as installed: the third word of its Status. One that awaits triggers is whole and
/// satisfies dependencies (dpkg(1), "Package states"). An archive's Packages file has no Status: all of it counts.
inline bool is_installed(const Stanza& stanza) {
  if (!stanza.status) return true;
  std::vector<std::string_view> words;
  for_each_part(stanza.status.value, ' ', [&](std::string_view word) { if (!word.empty()) words.push_back(word); });
  if (words.size() != 3) {
    throw DatabaseError(stanza.status.line,
                        "expected three words in Status, found '" + std::string(stanza.status.value) + "'");
  }
  return words[2] == "installed" || words[2] == "triggers-awaited" || words[2] == "triggers-pending";
}

inline MultiArch multi_arch_of(const Stanza& stanza) {
  const std::string_view value = stanza.multi_arch.value;
  if (value.empty() || value == "no") return MultiArch::no;
  if (value == "same") return MultiArch::same;
  if (value == "foreign") return MultiArch::foreign;
  if (value == "allowed") return MultiArch::allowed;
  throw DatabaseError(stanza.multi_arch.line, "unknown Multi-Arch '" + std::string(value) + "'");
}

inline std::uint64_t installed_kib_of(const Stanza& stanza) {
  const std::string_view value = stanza.installed_size.value;
  if (!stanza.installed_size) return 0;
  std::uint64_t kib = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), kib);
  if (error != std::errc{} || end != value.data() + value.size()) {
    throw DatabaseError(stanza.installed_size.line, "Installed-Size is not a number: '" + std::string(value) + "'");
  }
  return kib;
}

inline std::size_t count_dependencies(std::span<const Stanza> stanzas) {
  std::size_t count = 0;
  for (const Stanza& stanza : stanzas) {
    for_each_dependency(stanza.pre_depends, [&](std::string_view) { ++count; });
    for_each_dependency(stanza.depends, [&](std::string_view) { ++count; });
  }
  return count;
}

/// The architecture of the machine: that of dpkg itself, which is always its own; else the most frequent one.
inline std::string_view native_architecture(std::span<const Stanza> installed) {
  std::map<std::string_view, std::size_t> counts;
  for (const Stanza& stanza : installed) {
    const std::string_view architecture = stanza.architecture.value;
    if (architecture.empty() || architecture == "all") continue;
    if (stanza.package.value == "dpkg") return architecture;
    ++counts[architecture];
  }
  const auto most = std::max_element(counts.begin(), counts.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? "all" : most->first;
}

}  // namespace detail

/// The stanzas of installed packages. Of several with the same name and architecture, as archives have them, the
/// newest version, in the place of the first. Throws DatabaseError for a field that cannot be understood.
inline std::vector<Stanza> installed_stanzas(std::span<const Stanza> stanzas) {
  std::vector<Stanza> installed;
  std::map<std::pair<std::string_view, std::string_view>, std::size_t> places;
  for (const Stanza& stanza : stanzas) {
    if (!detail::is_installed(stanza)) continue;
    if (!stanza.version) throw DatabaseError(stanza.line, detail::described(stanza) + " has no Version");
    const auto [place, is_new] =
        places.try_emplace({stanza.package.value, stanza.architecture.value}, installed.size());
    if (is_new) {
      installed.push_back(stanza);
    } else if (compare_versions(stanza.version.value, installed[place->second].version.value) > 0) {
      installed[place->second] = stanza;
    }
  }
  return installed;
}

/// Builds one graph in one arena.
class GraphBuilder {
 public:
  explicit GraphBuilder(ArenaMemory memory) noexcept : memory_(memory) {}

  /// Builds the graph and makes it the root of the arena. The stanzas and their text may go afterwards. Throws
  /// DatabaseError for a relation that cannot be understood, std::bad_alloc when the arena is full.
  Graph& build(std::span<const Stanza> installed) {
    graph_ = memory_.create<Graph>(make_buckets(installed.size()));
    graph_->native_architecture = memory_.copy(detail::native_architecture(installed));
    graph_->package_count = installed.size();
    // What a removal changes, in runs of its own.
    fates_ = memory_.create_array<Fate>(installed.size());
    holders_ = memory_.create_array<std::uint32_t>(detail::count_dependencies(installed));
    Package* const packages = memory_.create_array<Package>(installed.size());
    for (std::size_t i = 0; i < installed.size(); ++i) add_package(packages[i], installed[i]);
    for (std::size_t i = 0; i < installed.size(); ++i) add_provisions(packages[i], installed[i].provides);
    for (std::size_t i = 0; i < installed.size(); ++i) {
      add_clauses(packages[i], installed[i].pre_depends);
      add_clauses(packages[i], installed[i].depends);
    }
    memory_.set_root(graph_);
    memory_.give_back_rest();
    return *graph_;
  }

 private:
  Names::bucket_traits make_buckets(std::size_t package_count) {
    // Most names are those of packages; provided ones are about as many again.
    const std::size_t bucket_count = std::bit_ceil(std::max<std::size_t>(2 * package_count, 16));
    return {memory_.create_array<Names::bucket_type>(bucket_count), bucket_count};
  }

  Name& name_node(std::string_view text) {
    Names::insert_commit_data place;
    const auto [found, is_new] = graph_->names.insert_check(text, place);
    if (!is_new) return *found;
    Name* const name = memory_.create<Name>();
    name->text = memory_.copy(text);
    return *graph_->names.insert_commit(*name, place);
  }

  void add_package(Package& package, const Stanza& stanza) {
    Name& name = name_node(stanza.package.value);
    package.name = name.text;
    package.version = memory_.copy(stanza.version.value);
    package.architecture = memory_.copy(stanza.architecture.value);
    package.multi_arch = detail::multi_arch_of(stanza);
    package.fate = fates_++;
    package.fate->package = &package;
    package.installed_kib = detail::installed_kib_of(stanza);
    if (!stanza.installed_size) ++graph_->sizeless_packages;
    name.packages.push_back(package);
    graph_->packages.push_back(package);
  }

  void add_provisions(Package& package, const Field& provides) {
    for_each_dependency(provides, [&](std::string_view text) {
      for_each_alternative(text, provides.line, [&](const Relation& relation) {
        Provision* const provision = memory_.create<Provision>();
        provision->package = &package;
        provision->version = memory_.copy(relation.version);
        name_node(relation.name).provisions.push_back(*provision);
      });
    });
  }

  void add_clauses(Package& owner, const Field& field) {
    for_each_dependency(field, [&](std::string_view text) {
      Clause* const clause = memory_.create<Clause>();
      clause->owner = &owner;
      clause->text = memory_.copy(text);
      clause->holders = holders_++;
      owner.clauses.push_back(*clause);
      ++graph_->clause_count;
      find_holders(*clause, text, field.line);
      if (*clause->holders == 0) ++graph_->unmet_clauses;
    });
  }

  void find_holders(Clause& clause, std::string_view text, std::size_t line) {
    found_.clear();
    for_each_alternative(text, line, [&](const Relation& relation) {
      const auto name = graph_->names.find(relation.name);
      if (name == graph_->names.end()) return;
      for (Package& package : name->packages) {
        if (allows(relation, package.version.view())) add_holder(clause, relation, package);
      }
      for (Provision& provision : name->provisions) {
        if (meets(relation, provision)) add_holder(clause, relation, *provision.package);
      }
    });
  }

  static bool meets(const Relation& relation, const Provision& provision) noexcept {
    if (provision.version.size == 0) return relation.comparison == Comparison::any;
    return allows(relation, provision.version.view());
  }

  void add_holder(Clause& clause, const Relation& relation, Package& package) {
    if (!fits_architecture(relation, package, *clause.owner)) return;
    // "a | a-provider" may name one package twice; it meets the clause once.
    if (std::find(found_.begin(), found_.end(), &package) != found_.end()) return;
    found_.push_back(&package);
    Support* const support = memory_.create<Support>();
    support->clause = &clause;
    package.supports.push_back(*support);
    ++*clause.holders;
  }

  /// dpkg's rule: a relation means the architecture of the package that has it, unless it says another, says ":any"
  /// and the other package allows that, or says nothing and the other package serves foreign ones.
  bool fits_architecture(const Relation& relation, const Package& package, const Package& owner) const {
    if (relation.architecture == "any") return package.multi_arch == MultiArch::allowed;
    if (relation.architecture.empty() && package.multi_arch == MultiArch::foreign) return true;
    const std::string_view wanted =
        relation.architecture.empty() ? owner.architecture.view() : relation.architecture;
    return same_architecture(package.architecture.view(), wanted, graph_->native_architecture.view());
  }

  ArenaMemory memory_;
  Graph* graph_ = nullptr;
  Fate* fates_ = nullptr;            ///< the next that no package has
  std::uint32_t* holders_ = nullptr; ///< the next counter that no clause has
  std::vector<Package*> found_;      ///< that meet the clause being linked
};

}  // namespace what_if

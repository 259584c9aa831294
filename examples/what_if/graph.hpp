// The packages of a database and what holds each of them, as nodes in an arena linked by Boost.Intrusive hooks.
// The shape only: graph_builder.hpp fills it, removal.hpp changes it.
//
//   Graph --names--> Name --packages--> Package --clauses--> Clause     "this package needs one of a | b"
//                         --provisions-> Provision  |           ^
//                                                   +--supports--> Support   "this package meets that clause"
//
// What a removal changes is kept apart from what it only reads: the fates of all packages lie in one run, and the
// counters of all clauses in another. Changes in a clone cost a copy of each page they touch, so that a few pages of
// nothing but changing data are copied, where a field here and there in large nodes would touch nearly all pages.
//
// Every link is an offset_ptr, so that the graph works in each clone, wherever that is mapped. Nodes are built by
// ArenaMemory and never destroyed.
#pragma once

#include <boost/intrusive/slist.hpp>
#include <boost/intrusive/unordered_set.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "arena_memory.hpp"

namespace what_if {

namespace intrusive = boost::intrusive;

using OffsetLinks = intrusive::void_pointer<Offset<void>>;

/// A base that lets a node be in the list of this tag, one for each list that it can be in at a time.
template <class Tag>
using InList = intrusive::slist_base_hook<intrusive::tag<Tag>, OffsetLinks,
                                           intrusive::link_mode<intrusive::normal_link>>;

template <class T, class Tag>
using List = intrusive::slist<T, intrusive::base_hook<InList<Tag>>, intrusive::constant_time_size<false>,
                              intrusive::cache_last<true>>;

struct ByDatabase;
struct ByName;
struct ByOwner;
struct ByRemoval;

struct Package;

/// A dependency of a package: it holds as long as one of the packages that meet it is there.
struct Clause : InList<ByOwner> {
  Offset<Package> owner;
  Text text;                      ///< as in the file: "a (>= 1) | b"
  Offset<std::uint32_t> holders;  ///< how many packages that meet it are there; changes
};

/// "The package that holds this node meets that clause": the way back along a dependency.
struct Support : InList<ByOwner> {
  Offset<Clause> clause;
};

enum class MultiArch : std::uint8_t { no, same, foreign, allowed };

/// What becomes of a package; changes.
struct Fate : InList<ByRemoval> {
  Offset<Package> package;
  Offset<Clause> lost;  ///< the clause that failed first and took the package along; none for the one asked for
  bool gone = false;
};

struct Package : InList<ByDatabase>, InList<ByName> {
  Text name;
  Text version;
  Text architecture;
  MultiArch multi_arch = MultiArch::no;
  std::uint64_t installed_kib = 0;
  Offset<Fate> fate;
  List<Clause, ByOwner> clauses;
  List<Support, ByOwner> supports;
};

/// A package that stands in for the name under which this is listed.
struct Provision : InList<ByName> {
  Offset<Package> package;
  Text version;  ///< empty: meets only relations without a version
};

using InNames = intrusive::unordered_set_base_hook<OffsetLinks, intrusive::store_hash<true>,
                                                   intrusive::link_mode<intrusive::normal_link>>;

/// All that goes by one name: real packages, one for each architecture, and provisions.
struct Name : InNames {
  Text text;
  List<Package, ByName> packages;
  List<Provision, ByName> provisions;
};

/// FNV-1a. Not std::hash, which need not be the same in another process that might map this arena.
struct NameHash {
  std::size_t operator()(std::string_view name) const noexcept {
    std::uint64_t hash = 0xcbf2'9ce4'8422'2325;
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3;
    return hash ^ (hash >> 32);
  }
};

struct NameText {
  using type = std::string_view;
  std::string_view operator()(const Name& name) const noexcept { return name.text.view(); }
};

using Names = intrusive::unordered_set<Name, intrusive::base_hook<InNames>, intrusive::key_of_value<NameText>,
                                       intrusive::hash<NameHash>, intrusive::power_2_buckets<true>,
                                       intrusive::constant_time_size<false>>;

/// The root: what all else is found from.
struct Graph {
  explicit Graph(const Names::bucket_traits& buckets) : names(buckets) {}

  Names names;
  List<Package, ByDatabase> packages;  ///< in the order of the file
  List<Fate, ByRemoval> gone;          ///< in the order in which they have to go; changes
  Text native_architecture;
  std::size_t package_count = 0;
  std::size_t clause_count = 0;
  std::size_t unmet_clauses = 0;       ///< clauses that nothing met from the start: nobody's removal can break them
  std::size_t sizeless_packages = 0;   ///< packages without Installed-Size: they count as 0
};

/// "all" runs on every machine and counts as the machine's own (dpkg does the same).
inline bool same_architecture(std::string_view a, std::string_view b, std::string_view native) noexcept {
  return (a == "all" ? native : a) == (b == "all" ? native : b);
}

/// The installed package called `name`, or "name:architecture"; without one the machine's own comes first.
inline Package* find_package(Graph& graph, std::string_view name) noexcept {
  const auto colon = name.find(':');
  const std::string_view native = graph.native_architecture.view();
  const std::string_view wanted = colon == name.npos ? native : name.substr(colon + 1);
  const auto found = graph.names.find(name.substr(0, colon));
  if (found == graph.names.end() || found->packages.empty()) return nullptr;
  for (Package& package : found->packages) {
    if (same_architecture(package.architecture.view(), wanted, native)) return &package;
  }
  return colon == name.npos ? &found->packages.front() : nullptr;
}

/// The package's name, with its architecture where that is not the machine's own, as dpkg and apt print it.
inline std::string full_name(const Graph& graph, const Package& package) {
  std::string name(package.name.view());
  const std::string_view architecture = package.architecture.view();
  const std::string_view native = graph.native_architecture.view();
  if (!same_architecture(architecture, native, native)) name.append(":").append(architecture);
  return name;
}

/// How many packages have a dependency that only this one meets: they would have to go with it at once.
inline std::size_t count_leaning_on(const Package& package) noexcept {
  std::size_t count = 0;
  const Package* last = &package;  // It does not lean on itself.
  for (const Support& support : package.supports) {
    // All clauses of one owner follow each other, since they were linked owner by owner.
    const Package* const owner = support.clause->owner.get();
    if (*support.clause->holders != 1 || owner == last || owner == &package) continue;
    last = owner;
    ++count;
  }
  return count;
}

}  // namespace what_if

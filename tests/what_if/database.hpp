// A package database for a test: text in, a graph in an arena out.
#pragma once

#include <cow/arena.hpp>

#include <set>
#include <string>
#include <vector>

#include "../../examples/what_if/graph_builder.hpp"
#include "../../examples/what_if/removal.hpp"
#include "../../examples/what_if/stanza_reader.hpp"
#include "../../examples/what_if/world.hpp"

namespace what_if::test {

/// The stanza of an installed package; `fields` are further lines, each ended by a line break.
inline std::string installed(const std::string& name, const std::string& fields = {},
                             const std::string& version = "1") {
  return "Package: " + name + "\nStatus: install ok installed\nVersion: " + version + "\n" +
         (fields.find("Architecture:") == fields.npos ? "Architecture: amd64\n" : "") + fields + "\n";
}

/// The graph of a text, in an arena of its own.
class Database {
 public:
  explicit Database(const std::string& text) : arena_(options()) {
    GraphBuilder(ArenaMemory::format(arena_)).build(installed_stanzas(read_stanzas(text)));
  }

  cow::Arena& arena() noexcept { return arena_; }
  Graph& graph() { return *ArenaMemory::attach(arena_).root<Graph>(); }

  /// The names of what goes with `name`, asked of a clone.
  std::set<std::string> gone_with(const std::string& name) {
    World world = removed_in_clone(arena_.snapshot(), name);
    const std::vector<std::string> names = names_gone(world);
    return {names.begin(), names.end()};
  }

  static std::vector<std::string> names_gone(World& world) {
    std::vector<std::string> names;
    for (const Fate& fate : world.graph().gone) names.push_back(full_name(world.graph(), *fate.package));
    return names;
  }

 private:
  static cow::ArenaOptions options() {
    cow::ArenaOptions options;
    options.capacity = std::size_t{64} << 20;
    options.name = "what_if test";
    return options;
  }

  cow::Arena arena_;
};

}  // namespace what_if::test

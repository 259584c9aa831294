// What would have to go if a package were removed? Asked of clones of Debian's package database.
// See README.md beside this file for how it works and how the answers were checked.
#include <cow/arena.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/command_line.hpp"
#include "../support/file_text.hpp"
#include "arena_memory.hpp"
#include "graph_builder.hpp"
#include "near_names.hpp"
#include "options.hpp"
#include "report.hpp"
#include "stanza_reader.hpp"
#include "world.hpp"

namespace {

using namespace what_if;

constexpr int original_changed = 3;

/// The program that unpacks this, for files that lie about as archives; nullptr for anything else.
const char* unpacker_for(const std::string& text) {
  if (text.starts_with("\x1f\x8b")) return "gzip -dc";
  if (text.starts_with("\xfd" "7zXZ")) return "xz -dc";
  if (text.starts_with("\x04\x22\x4d\x18")) return "lz4 -dc";
  if (text.starts_with("\x28\xb5\x2f\xfd")) return "zstd -dc";
  return nullptr;
}

/// The arena that a database of this size needs at most: address space only, memory comes with what is written.
cow::Arena arena_for(const std::string& text) {
  cow::ArenaOptions options;
  options.name = "what_if";
  options.capacity = std::max(options.capacity, 8 * text.size());
  return cow::Arena(options);
}

double milliseconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

/// Reads the file and builds its graph in the arena, and says so.
Graph& load(const Options& options, const std::string& text, cow::Arena& arena) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Stanza> installed = installed_stanzas(read_stanzas(text));
  const auto parsed = std::chrono::steady_clock::now();
  ArenaMemory memory = ArenaMemory::format(arena);
  Graph& graph = GraphBuilder(memory).build(installed);
  const auto built = std::chrono::steady_clock::now();
  if (options.names_only) return graph;

  std::printf("%s: %s installed with %s, read in %.1f ms\n", options.file.c_str(),
              counted(graph.package_count, "package", "packages").c_str(),
              counted(graph.clause_count, "dependency", "dependencies").c_str(), milliseconds(parsed - start));
  const std::size_t used = memory.used().size();
  std::printf("The graph takes %s in %s of an arena, built in %.1f ms\n", human_size(used / 1024).c_str(),
              counted(pages_in(used), "page", "pages").c_str(), milliseconds(built - parsed));
  if (graph.unmet_clauses != 0) {
    std::printf("Not met to begin with, and set aside: %s\n",
                counted(graph.unmet_clauses, "dependency", "dependencies").c_str());
  }
  if (graph.sizeless_packages != 0) {
    std::printf("Without a size, and counted as 0: %s\n",
                counted(graph.sizeless_packages, "package", "packages").c_str());
  }
  return graph;
}

/// The packages to ask about. Throws for one that is not installed, naming those that may have been meant.
std::vector<std::string> questions(const Options& options, Graph& graph) {
  if (options.packages.empty()) return most_leaned_on(graph, options.most);
  for (const std::string& name : options.packages) {
    if (find_package(graph, name) != nullptr) continue;
    std::string message = "no package '" + name + "' is installed in " + options.file;
    std::string separator = "; near it: ";
    for (const std::string& near : near_names(graph, name)) message += std::exchange(separator, ", ") + near;
    throw std::runtime_error(message);
  }
  return options.packages;
}

std::size_t thread_count(const Options& options) {
  if (options.threads != 0) return options.threads;
  return std::max<std::size_t>(2, std::thread::hardware_concurrency());
}

/// Whether the arena is what it was when `base` was taken: by its bytes, and by the library's books.
bool prove_untouched(const Options& options, cow::Arena& arena, const cow::Snapshot& base, std::uint64_t before) {
  const std::uint64_t after = checksum(ArenaMemory::attach(arena).used());
  const bool same_version = arena.changed_since(base).empty() && arena.snapshot() == base;
  if (after != before || !same_version) {
    std::fprintf(stderr, "what_if: the original has changed: checksum %016llx before, %016llx after; %s\n",
                 static_cast<unsigned long long>(before), static_cast<unsigned long long>(after),
                 same_version ? "no page was written" : "pages were written");
    return false;
  }
  if (options.names_only) return true;
  std::printf("The original is untouched: checksum %016llx before and after, and a snapshot of it now is the same\n"
              "version as the one that all clones started from.\n",
              static_cast<unsigned long long>(after));
  return true;
}

int answer(const Options& options, const std::string& text) {
  cow::Arena arena = arena_for(text);
  Graph& graph = load(options, text, arena);
  const std::vector<std::string> names = questions(options, graph);

  const std::span<const std::byte> used = ArenaMemory::attach(arena).used();
  const std::uint64_t before = checksum(used);
  const cow::Snapshot base = arena.snapshot();
  std::vector<World> worlds = removed_in_clones(base, names, thread_count(options));

  if (options.names_only) {
    for (World& world : worlds) print_gone_names(world);
  } else {
    print_table(worlds, used.size());
  }
  if (!prove_untouched(options, arena, base, before)) return original_changed;
  if (options.verbose && !options.names_only) {
    for (World& world : worlds) print_gone(world);
  }
  return examples::done;
}

int run(std::span<const char* const> arguments) {
  const Options options = parse_options(arguments);
  const std::string text = examples::file_text(options.file);
  if (const char* const unpacker = unpacker_for(text)) {
    throw std::runtime_error(options.file + " is compressed: unpack it first, with " + unpacker);
  }
  return with_file_in_errors(options.file, [&] { return answer(options, text); });
}

}  // namespace

int main(int argc, char** argv) { return examples::run_program("what_if", usage_text, argc, argv, run); }

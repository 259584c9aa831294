// What the library can tell about itself: a small world lives for some days, is snapshotted and cloned, and then it is
// shown where its memory is, what is shared, and which code caused the copies. See README.md beside this file.
#include <cow/cow.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include "../support/command_line.hpp"
#include "world.hpp"

namespace {

using namespace inspect;

constexpr const char* usage_text = R"(usage: inspect [FOLDER]

Runs a small scenario and prints statistics, the memory account, page maps and the fault profile.
With FOLDER it also writes page_map.svg, flame.svg and folded.txt (for flame-graph viewers) there.
)";

struct Scenario {
  cow::Arena world{{.capacity = World::bytes, .name = "world"}};
  std::vector<cow::Snapshot> mornings;
  cow::Arena flooded = live();
  cow::FaultProfile profile = cow::fault_profile();

 private:
  /// Some days, each with a snapshot in the morning; then, in a clone, the day that the sea came.
  cow::Arena live() {
    std::mt19937 random(1);
    const World here(world);
    here.set_up_land();
    here.settle_walkers();
    cow::start_fault_profile();
    for (std::uint64_t day = 1; day <= 4; ++day) {
      mornings.push_back(world.snapshot());
      here.live_a_day(day, random);
    }
    cow::Arena clone = mornings.back().clone();
    World(clone).flood(300, 60);
    here.live_a_day(5, random);
    cow::stop_fault_profile();
    return clone;
  }
};

void print(const char* title, const std::string& text) { std::printf("-- %s\n%s\n", title, text.c_str()); }

std::string mornings_of(const Scenario& scenario) {
  std::string text;
  for (std::size_t i = 0; i < scenario.mornings.size(); ++i) {
    text += "morning " + std::to_string(i + 1) + ": dropping it would free " +
            std::to_string(scenario.mornings[i].exclusive_bytes() / 1024) + " KiB\n";
  }
  return text;
}

void show(const Scenario& scenario) {
  const cow::PageMapStyle style{.columns = 64, .rows = 16, .colours = ::isatty(STDOUT_FILENO) == 1};
  print("statistics of the world", to_text(scenario.world.stats()));
  print("memory", to_text(account_memory(scenario.world)));
  print("snapshots", mornings_of(scenario));
  print("pages of the world", to_text(map_pages(scenario.world), style));
  print("pages of the clone", to_text(map_pages(scenario.flooded), style));
  print("who wrote", to_text(scenario.profile, 8));
}

void write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream file(path);
  if (!(file << content) || !file.flush()) throw std::runtime_error("cannot write " + path.string());
}

/// What cannot be written at the end is told at the start; what is there already stays.
void check_folder(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) throw std::runtime_error("there is no folder " + folder.string());
  for (const char* const name : {"page_map.svg", "flame.svg", "folded.txt"}) {
    if (!std::ofstream(folder / name, std::ios::app)) {
      throw std::runtime_error("cannot write " + (folder / name).string());
    }
  }
}

void write_pictures(const Scenario& scenario, const std::filesystem::path& folder) {
  write_file(folder / "page_map.svg", to_svg(map_pages(scenario.world)));
  write_file(folder / "flame.svg", to_svg(scenario.profile, cow::FaultWeight::nanoseconds));
  write_file(folder / "folded.txt", to_folded(scenario.profile, cow::FaultWeight::nanoseconds));
}

int run(std::span<const char* const> arguments) {
  if (arguments.size() > 1) examples::refuse("a second folder", arguments[1]);
  const std::string folder = arguments.empty() ? "" : arguments[0];
  if (folder.starts_with('-')) examples::refuse("no such option", folder);
  if (!arguments.empty() && folder.empty()) examples::refuse("a folder without a name", folder);
  if (!folder.empty()) check_folder(folder);
  const Scenario scenario;
  show(scenario);
  if (!folder.empty()) write_pictures(scenario, folder);
  return examples::done;
}

}  // namespace

int main(int argc, char** argv) { return examples::run_program("inspect", usage_text, argc, argv, run); }

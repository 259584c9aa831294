// A fault profile as a table and as folded stacks. Sees the profile only.
#include <algorithm>
#include <cstdio>
#include <map>
#include <tuple>

#include "diagnostics/profile_places.hpp"
#include "words/amounts.hpp"

namespace cow {
namespace {

struct Site {
  std::string place, by;
  std::uint64_t faults = 0, pages = 0, ns = 0;
};

/// The C and C++ libraries are other people's, and so is what they inline into the program.
bool in_own_sources(const CodePlace& place) {
  const bool in_system_library = place.module.starts_with("libc.so") || place.module.starts_with("libstdc++.so");
  return !place.file.empty() && !place.file.starts_with("/usr/") && !in_system_library;
}

/// The innermost place of the program's own; a memcpy or a container's inside says little.
const CodePlace* site_of(const ProfiledStack& stack) {
  const auto own = std::find_if(stack.places.begin(), stack.places.end(), in_own_sources);
  if (own != stack.places.end()) return &*own;
  return stack.places.empty() ? nullptr : &stack.places.front();
}

std::string short_path(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string describe(const CodePlace& place) {
  std::string text = name_of_place(place);
  if (!place.file.empty()) text += "  " + short_path(place.file) + ":" + std::to_string(place.line);
  return text;
}

std::vector<Site> gather_sites(const FaultProfile& profile) {
  std::map<std::tuple<std::string, std::string>, Site> sites;
  for (const ProfiledStack& stack : profile.stacks) {
    const CodePlace* const at = site_of(stack);
    const std::string place = at == nullptr ? "unknown" : describe(*at);
    const std::string by = at == nullptr || at == &stack.places.front() ? "" : name_of_place(stack.places.front());
    Site& site = sites[{place, by}];
    site.place = place, site.by = by;
    site.faults += weight_of(profile, stack, FaultWeight::faults);
    site.pages += weight_of(profile, stack, FaultWeight::pages);
    site.ns += weight_of(profile, stack, FaultWeight::nanoseconds);
  }
  std::vector<Site> sorted;
  for (auto& [key, site] : sites) sorted.push_back(std::move(site));
  std::stable_sort(sorted.begin(), sorted.end(), [](const Site& a, const Site& b) { return a.ns > b.ns; });
  return sorted;
}

void add_row(std::string& text, const FaultProfile& profile, const Site& site) {
  char row[96];
  (void)std::snprintf(row, sizeof row, "%9llu %9llu %10s %10.0f  ", static_cast<unsigned long long>(site.faults),
                      static_cast<unsigned long long>(site.pages),
                      readable_bytes(site.pages * profile.page_bytes).c_str(), static_cast<double>(site.ns) / 1e3);
  text.append(row).append(site.place);
  if (!site.by.empty()) text.append("  (in ").append(site.by).append(")");
  text += '\n';
}

/// Separators of the format must not be in a name.
std::string folded_name(std::string name) {
  for (char& c : name) {
    if (c == ';') c = ':';
    if (c == '\n' || c == '\r') c = ' ';
  }
  return name;
}

}  // namespace

std::uint64_t weight_of(const FaultProfile& profile, const ProfiledStack& stack, FaultWeight weight) {
  switch (weight) {
    case FaultWeight::faults:
      return stack.samples * profile.every;
    case FaultWeight::pages:
      return stack.pages * profile.every;
    case FaultWeight::nanoseconds:
      break;
  }
  return stack.ns * profile.every;
}

std::string name_of_place(const CodePlace& place) {
  if (!place.function.empty()) return without_parameters(place.function);
  char offset[32];
  (void)std::snprintf(offset, sizeof offset, "+0x%llx", static_cast<unsigned long long>(place.offset));
  return (place.module.empty() ? "unknown" : place.module) + offset;
}

std::vector<std::string> names_from_outermost(const ProfiledStack& stack) {
  std::vector<std::string> names{stack.arena};
  if (stack.cut) names.emplace_back("(deeper)");
  for (auto place = stack.places.rbegin(); place != stack.places.rend(); ++place) {
    names.push_back(name_of_place(*place) + (place->inlined ? "_[i]" : ""));
  }
  return names;
}

std::string to_text(const FaultProfile& profile, std::size_t most_sites) {
  const std::vector<Site> sites = gather_sites(profile);
  std::string text = counted(profile.faults, "fault");
  if (profile.every > 1) text += ", estimated from one in " + std::to_string(profile.every);
  if (profile.dropped != 0) text += "; " + counted(profile.dropped, "sample") + " dropped";
  text += "\n   faults     pages     copied         us  call site\n";
  Site rest;
  for (std::size_t i = 0; i < sites.size(); ++i) {
    if (i < most_sites) {
      add_row(text, profile, sites[i]);
    } else {
      rest.faults += sites[i].faults, rest.pages += sites[i].pages, rest.ns += sites[i].ns;
    }
  }
  if (sites.size() > most_sites) {
    rest.place = std::to_string(sites.size() - most_sites) + " more";
    add_row(text, profile, rest);
  }
  return text;
}

std::string to_folded(const FaultProfile& profile, FaultWeight weight) {
  std::map<std::string, std::uint64_t> lines;
  for (const ProfiledStack& stack : profile.stacks) {
    std::string line;
    for (const std::string& name : names_from_outermost(stack)) line += (line.empty() ? "" : ";") + folded_name(name);
    lines[line] += weight_of(profile, stack, weight);
  }
  std::string text;
  for (const auto& [line, amount] : lines) {
    if (amount != 0) text.append(line).append(" ").append(std::to_string(amount)).append("\n");
  }
  return text;
}

}  // namespace cow

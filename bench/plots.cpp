// Plots by gnuplot: wherever the results hold three points along an axis with all else equal, an SVG is drawn.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>

#include "report.hpp"

namespace bench {
namespace {

constexpr std::size_t fewest_points = 3;

struct Axis {
  const char* file;
  const char* label;
  double (*value)(const Setting&);
  void (*clear)(Setting&);  // so that settings that differ only along this axis are equal
};

struct Metric {
  const char* file;
  const char* label;
  double (*microseconds)(const Row&);
};

constexpr Axis axes[] = {
    {"pages_written", "writes in a cycle", [](const Setting& s) { return static_cast<double>(s.writes); },
     [](Setting& s) { s.writes = 0; }},
    {"heap_size", "heap, MiB", [](const Setting& s) { return static_cast<double>(s.bytes / mib); },
     [](Setting& s) { s.bytes = 0; }},
    {"threads", "threads", [](const Setting& s) { return static_cast<double>(s.threads); },
     [](Setting& s) { s.threads = 0; }},
    {"alive", "snapshots, views or clones alive", [](const Setting& s) { return static_cast<double>(s.alive); },
     [](Setting& s) { s.alive = 0; }},
};

constexpr Metric metrics[] = {
    {"snapshot", "snapshot, us", [](const Row& r) { return r.at(Part::snapshot) / 1e3; }},
    {"write", "a write, us", [](const Row& r) { return r.first_write_ns() / 1e3; }},
    {"cycle", "cycle, us", [](const Row& r) { return r.at(Part::total) / 1e3; }},
};

using Line = std::map<double, double>;               // x to y
using Lines = std::map<std::string, Line>;           // by competitor

std::string joined(std::string words) {
  std::replace(words.begin(), words.end(), ' ', '_');
  std::erase(words, ',');
  return words;
}

/// What the points of a plot have in common.
std::string common_text(const Axis& axis, const Setting& setting) {
  std::string result;
  const auto add = [&](const std::string& words) { result += (result.empty() ? "" : ", ") + words; };
  const std::string name = axis.file;
  if (name != "heap_size") add(size_text(setting.bytes));
  add(name == "pages_written" ? text(setting.pattern) : count_text(setting.writes) + " " + text(setting.pattern));
  if (setting.threads > 1) add(count_text(setting.threads) + " threads");
  if (setting.alive > 1) add(count_text(setting.alive) + " alive");
  return result;
}

std::map<Setting, Lines> lines_along(const Axis& axis, const Metric& metric, const Results& results) {
  std::map<Setting, Lines> groups;
  for (const Row& row : results.rows()) {
    if (row.setting.experiment != Experiment::cycle || row.samples.empty()) continue;
    const double x = axis.value(row.setting), y = metric.microseconds(row);
    if (!(x > 0) || !(y > 0)) continue;  // both axes are logarithmic
    Setting group = row.setting;
    axis.clear(group);
    groups[group][row.competitor].emplace(x, y);
  }
  for (auto& [group, lines] : groups) {
    std::erase_if(lines, [](const auto& line) { return line.second.size() < fewest_points; });
  }
  return groups;
}

/// A script that carries its data, so that a plot can be drawn again from this one file.
void write_script(const std::filesystem::path& script, const std::filesystem::path& image, const std::string& title,
                  const Axis& axis, const Metric& metric, const Lines& lines) {
  std::ofstream out(script);
  out << "set terminal svg size 900,600 background 'white'\nset output '" << image.string() << "'\n"
      << "set title \"" << title << "\" noenhanced\nset xlabel '" << axis.label << "'\nset ylabel '" << metric.label
      << "'\nset logscale xy\nset grid\nset key outside right\n";
  unsigned index = 0;
  for (const auto& [competitor, line] : lines) {
    out << "$line" << index++ << " << EOD\n";
    for (const auto& [x, y] : line) out << x << ' ' << y << "\n";
    out << "EOD\n";
  }
  index = 0;
  for (const auto& [competitor, line] : lines) {
    out << (index == 0 ? "plot " : ", ") << "$line" << index << " with linespoints title \"" << competitor
        << "\" noenhanced";
    ++index;
  }
  out << "\n";
}

}  // namespace

unsigned draw_plots(const std::filesystem::path& folder, const Results& results, const Machine& machine) {
  unsigned drawn = 0;
  for (const Axis& axis : axes) {
    for (const Metric& metric : metrics) {
      for (const auto& [group, lines] : lines_along(axis, metric, results)) {
        if (lines.empty()) continue;
        const std::string common = common_text(axis, group);
        const std::string file = std::string(metric.file) + "_by_" + axis.file + "_" + joined(common);
        const auto script = folder / (file + ".gp"), image = folder / (file + ".svg");
        write_script(script, image, common + "\\n" + machine.text(), axis, metric, lines);
        const std::string command = "gnuplot '" + script.string() + "' >/dev/null 2>&1";
        if (std::system(command.c_str()) == 0) ++drawn;
      }
    }
  }
  return drawn;
}

}  // namespace bench

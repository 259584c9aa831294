// A page map as text and as a picture. Sees the map only.
#include <algorithm>
#include <bit>
#include <cstdio>

#include "cow/page_map.hpp"
#include "diagnostics/svg.hpp"
#include "words/amounts.hpp"

namespace cow {
namespace {

struct Look {
  char letter;
  const char* terminal;  // colour codes, for 256 colours
  const char* fill;
};

constexpr Look never_written_look{'.', "38;5;245", "#e4e7eb"};
constexpr Look private_look{'#', "38;5;208", "#f0883e"};
constexpr Look borrowed_look{'=', "38;5;39", "#58a6e8"};
constexpr const char* terminal_of_shared[] = {"38;5;34", "38;5;135", "38;5;30", "38;5;160", "38;5;142", "38;5;99"};
constexpr const char* fill_of_shared[] = {"#57ab5a", "#b083f0", "#39a0a0", "#e5534b", "#b5a642", "#8ddb8c"};

/// By snapshots alone: the number of the oldest; with clones: a letter for each group.
std::vector<Look> looks_of(const PageMap& map) {
  std::vector<Look> looks;
  char next_letter = 'a';
  std::size_t next_colour = 0;
  for (const PageGroup& group : map.groups) {
    switch (group.state) {
      case PageState::unwritten:
        looks.push_back(never_written_look);
        continue;
      case PageState::private_page:
        looks.push_back(private_look);
        continue;
      case PageState::borrowed:
        looks.push_back(borrowed_look);
        continue;
      case PageState::shared:
        break;
    }
    const bool by_snapshots = group.clones.empty() && !group.gone_clones;
    char letter = '+';
    if (by_snapshots && group.oldest_snapshot <= 9) letter = static_cast<char>('0' + group.oldest_snapshot);
    if (!by_snapshots && next_letter <= 'z') letter = next_letter++;
    const std::size_t colour = next_colour++ % std::size(fill_of_shared);
    looks.push_back({letter, terminal_of_shared[colour], fill_of_shared[colour]});
  }
  return looks;
}

std::string number(std::uint64_t n) { return std::to_string(n); }

std::string snapshots_from(std::size_t oldest, std::size_t alive) {
  if (oldest == alive) return "snapshot " + number(oldest);
  return "snapshots " + number(oldest) + " to " + number(alive);
}

std::string address_of(const std::byte* data) {
  char text[32];
  (void)std::snprintf(text, sizeof text, "%p", static_cast<const void*>(data));
  return text;
}

std::string sharers_of(const PageGroup& group, std::size_t snapshots) {
  std::string text;
  const auto add = [&](const std::string& sharer) { text += (text.empty() ? "shared with " : ", ") + sharer; };
  if (group.oldest_snapshot != 0) add(snapshots_from(group.oldest_snapshot, snapshots));
  for (const std::byte* clone : group.clones) add("the clone at " + address_of(clone));
  if (group.gone_clones) add("snapshots of clones that are gone");
  return text;
}

std::string meaning_of(const PageGroup& group, std::size_t snapshots) {
  switch (group.state) {
    case PageState::unwritten:
      return "never written";
    case PageState::private_page:
      return "private";
    case PageState::borrowed:
      return "borrowed from what it was cloned from";
    case PageState::shared:
      break;
  }
  return sharers_of(group, snapshots);
}

std::string amount_of(std::uint64_t pages, std::size_t page_bytes) {
  return counted(pages, "page") + ", " + readable_bytes(pages * page_bytes);
}

/// The map in blocks of as many pages as make it fit.
struct Grid {
  std::size_t pages_a_block = 1;
  std::size_t extent = 0;           // pages up to the last that was written
  std::vector<std::size_t> groups;  // of each block

  Grid(const PageMap& map, const PageMapStyle& style) {
    for (const PageMap::Run& run : map.runs) {
      if (map.groups[run.group].state != PageState::unwritten) extent = run.pages.first + run.pages.count;
    }
    const std::size_t most = std::max<std::size_t>(style.columns * style.rows, 1);
    pages_a_block = std::bit_ceil(std::max<std::size_t>((extent + most - 1) / most, 1));
    auto run = map.runs.begin();
    for (std::size_t first = 0; first < extent; first += pages_a_block) {
      groups.push_back(group_of_block(map, run, first, std::min(first + pages_a_block, extent)));
    }
  }

 private:
  static std::size_t group_of_block(const PageMap& map, std::vector<PageMap::Run>::const_iterator& run,
                                    std::size_t first, std::size_t end) {
    std::vector<std::size_t> counts(map.groups.size());
    for (std::size_t at = first; at < end;) {
      const std::size_t stop = std::min(run->pages.first + run->pages.count, end);
      counts[run->group] += stop - at;
      at = stop;
      if (stop == run->pages.first + run->pages.count) ++run;
    }
    std::size_t best = run_of_never_written(map);
    for (std::size_t group = 0; group < counts.size(); ++group) {
      if (map.groups[group].state == PageState::unwritten || counts[group] == 0) continue;
      if (best >= counts.size() || map.groups[best].state == PageState::unwritten || counts[group] > counts[best]) {
        best = group;
      }
    }
    return best;
  }

  static std::size_t run_of_never_written(const PageMap& map) {
    for (std::size_t group = 0; group < map.groups.size(); ++group) {
      if (map.groups[group].state == PageState::unwritten) return group;
    }
    return map.groups.size();
  }
};

std::string title_of(const PageMap& map, const Grid& grid, const char* block) {
  return "\"" + map.arena + "\": " + amount_of(map.pages, map.page_bytes) + "; " + counted(map.snapshots, "snapshot") +
         "; a " + block + " is " + (grid.pages_a_block == 1 ? "a page" : number(grid.pages_a_block) + " pages");
}

std::string coloured(const std::string& text, const Look& look, bool colours) {
  return colours ? "\x1b[" + std::string(look.terminal) + "m" + text + "\x1b[0m" : text;
}

/// Most pages last written first; never written last.
std::vector<std::size_t> order_of_legend(const PageMap& map) {
  std::vector<std::size_t> order;
  for (std::size_t group = 0; group < map.groups.size(); ++group) order.push_back(group);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t one, std::size_t two) {
    const auto place = [&](std::size_t group) {
      switch (map.groups[group].state) {
        case PageState::private_page:
          return 0;
        case PageState::shared:
          return 1;
        case PageState::borrowed:
          return 2;
        case PageState::unwritten:
          break;
      }
      return 3;
    };
    return place(one) < place(two);
  });
  return order;
}

}  // namespace

std::string to_text(const PageMap& map, const PageMapStyle& style) {
  const Grid grid(map, style);
  const std::vector<Look> looks = looks_of(map);
  const std::size_t columns = std::max<std::size_t>(style.columns, 1);
  std::string text = title_of(map, grid, "character") + "\n";
  for (std::size_t i = 0; i < grid.groups.size();) {
    const std::size_t row_end = std::min(grid.groups.size(), (i / columns + 1) * columns);
    std::size_t same = i;
    while (same < row_end && grid.groups[same] == grid.groups[i]) ++same;
    const Look& look = looks[grid.groups[i]];
    text += coloured(std::string(same - i, look.letter), look, style.colours);
    if (same == row_end) text += '\n';
    i = same;
  }
  for (const std::size_t group : order_of_legend(map)) {
    const PageGroup& of = map.groups[group];
    text += "  " + coloured(std::string(1, looks[group].letter), looks[group], style.colours) + "  " +
            amount_of(of.pages, map.page_bytes) + " " + meaning_of(of, map.snapshots) + "\n";
  }
  return text;
}

std::string to_svg(const PageMap& map, const PageMapStyle& style) {
  constexpr double margin = 10, square = 14, head = 30, legend_row = 19;
  const Grid grid(map, style);
  const std::vector<Look> looks = looks_of(map);
  const std::size_t columns = std::max<std::size_t>(style.columns, 1);
  const std::size_t rows = (grid.groups.size() + columns - 1) / columns;
  const double below = head + square * static_cast<double>(rows) + margin;
  const double width = std::max(2 * margin + square * static_cast<double>(columns), 640.0);
  Svg svg(width, below + legend_row * static_cast<double>(map.groups.size()) + margin);
  svg.line_of_text(margin, 19, title_of(map, grid, "square"));
  for (std::size_t i = 0; i < grid.groups.size();) {
    const std::size_t row_end = std::min(grid.groups.size(), (i / columns + 1) * columns);
    std::size_t same = i;
    while (same < row_end && grid.groups[same] == grid.groups[i]) ++same;
    const std::size_t last_page = std::min(same * grid.pages_a_block, grid.extent) - 1;
    svg.box(margin + square * static_cast<double>(i % columns), head + square * static_cast<double>(i / columns),
            square * static_cast<double>(same - i) - 1, square - 1, looks[grid.groups[i]].fill,
            "pages " + number(i * grid.pages_a_block) + " to " + number(last_page) + ": " +
                meaning_of(map.groups[grid.groups[i]], map.snapshots));
    i = same;
  }
  double y = below;
  for (const std::size_t group : order_of_legend(map)) {
    const std::string says =
        amount_of(map.groups[group].pages, map.page_bytes) + " " + meaning_of(map.groups[group], map.snapshots);
    svg.box(margin, y, square - 1, square - 1, looks[group].fill, says);
    svg.line_of_text(margin + square + 5, y + 10, says);
    y += legend_row;
  }
  return std::move(svg).finish();
}

}  // namespace cow

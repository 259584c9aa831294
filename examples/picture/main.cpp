// Draws the picture that the README begins with: an arena, a snapshot of it and a clone, page by page, as the library
// tells it. Prints an SVG; with FILE it compares that with what FILE holds, so that the picture stays true.
#include <cow/arena.hpp>
#include <cow/page_map.hpp>

#include <cstdio>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "../support/command_line.hpp"
#include "../support/file_text.hpp"

namespace {

constexpr const char* usage_text = R"(usage: picture [FILE]

Prints the picture of the README as an SVG. With FILE it compares instead.

Exit status: 0 printed, or the same; 1 FILE holds another picture, or it could not run; 2 wrong usage.
)";

constexpr std::size_t pages = 8;

/// What a page shows, and whether that is one page of memory with what the row above shows there.
struct Box {
  char letter;
  bool shared_with_above;
};
using Row = std::vector<Box>;

struct Panel {
  std::vector<std::string> code;
  std::vector<std::pair<std::string, Row>> rows;  // by name
  std::uint64_t frames;                           // pages of memory that hold all of it
};

/// Each page's group in the map.
std::vector<cow::PageGroup> groups_of(const cow::Arena& arena) {
  const cow::PageMap map = cow::map_pages(arena);
  std::vector<cow::PageGroup> groups;
  for (const cow::PageMap::Run& run : map.runs) groups.insert(groups.end(), run.pages.count, map.groups[run.group]);
  return groups;
}

char letter_at(const std::byte* page) { return static_cast<char>(*page); }

Row row_of(const cow::Arena& arena) {
  Row row;
  for (std::size_t i = 0; i < pages; ++i) row.push_back({letter_at(arena.data() + i * cow::page_size()), false});
  return row;
}

/// Below its arena: the map says which pages some snapshot shows.
Row row_of(const cow::Snapshot& snapshot, const cow::Arena& arena) {
  const std::vector<cow::PageGroup> groups = groups_of(arena);
  Row row;
  for (std::size_t i = 0; i < pages; ++i) {
    std::byte first{};
    snapshot.read(i * cow::page_size(), std::span(&first, 1));
    row.push_back({letter_at(&first), groups[i].oldest_snapshot != 0});
  }
  return row;
}

/// Below the snapshot that it was cloned from.
Row row_of_clone(const cow::Arena& clone) {
  const std::vector<cow::PageGroup> groups = groups_of(clone);
  Row row = row_of(clone);
  for (std::size_t i = 0; i < pages; ++i) row[i].shared_with_above = groups[i].state == cow::PageState::borrowed;
  return row;
}

void put(cow::Arena& arena, std::size_t page, char letter) {
  std::memset(arena.data() + page * cow::page_size(), letter, 1);
}

std::uint64_t frames_of(const cow::Arena& arena) {
  const cow::ArenaStats stats = arena.stats();
  return stats.file_frames_used + stats.history_frames_used;
}

std::vector<Panel> live() {
  cow::Arena arena({.capacity = pages * cow::page_size()});
  for (std::size_t page = 0; page < pages; ++page) put(arena, page, static_cast<char>('A' + page));
  std::vector<Panel> panels;
  panels.push_back({{"cow::Arena arena;", "// eight pages written"}, {{"arena", row_of(arena)}}, frames_of(arena)});

  const cow::Snapshot before = arena.snapshot();
  put(arena, 1, 'x');
  put(arena, 4, 'y');
  panels.push_back({{"before = arena.snapshot();", "// then two pages written"},
                    {{"arena", row_of(arena)}, {"before", row_of(before, arena)}},
                    frames_of(arena)});

  cow::Arena clone = before.clone();
  put(clone, 2, 'z');
  panels.push_back({{"clone = before.clone();", "// then one page of the clone"},
                    {{"arena", row_of(arena)}, {"before", row_of(before, arena)}, {"clone", row_of_clone(clone)}},
                    frames_of(clone)});
  return panels;
}

constexpr int side = 26, step = 30, row_height = 52, panel_width = 310, name_width = 56, head = 62;

std::string text_at(int x, int y, const std::string& text, const char* style) {
  return "<text x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) + "\" " + style + ">" + text + "</text>\n";
}

std::string rectangle(int x, int y, int width, int height, const std::string& style) {
  return "<rect x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) + "\" width=\"" + std::to_string(width) +
         "\" height=\"" + std::to_string(height) + "\" " + style + "/>\n";
}

const char* fill_of(char letter) { return letter >= 'a' ? "#f0883e" : "#79b8ff"; }

/// One page of memory that several rows show is one tall box.
std::string draw_row(const Row& row, int x, int y) {
  std::string drawn;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const int at = x + static_cast<int>(i) * step;
    const std::string style = "rx=\"3\" fill=\"" + std::string(fill_of(row[i].letter)) + "\" stroke=\"#57606a\"";
    drawn += rectangle(at, y, side, side, style);
    constexpr int gap = row_height - side;
    if (row[i].shared_with_above) drawn += rectangle(at + 9, y - gap, 8, gap, "fill=\"#57606a\"");
    drawn += text_at(at + side / 2, y + 18, std::string(1, row[i].letter), "text-anchor=\"middle\"");
  }
  return drawn;
}

std::string draw(const Panel& panel, int x) {
  std::string drawn;
  int y = 22;
  for (const std::string& line : panel.code) {
    drawn += text_at(x, y, line, "font-weight=\"bold\"");
    y += 18;
  }
  y = head;
  for (const auto& [name, row] : panel.rows) {
    drawn += text_at(x, y + 17, name, "fill=\"#57606a\"") + draw_row(row, x + name_width, y);
    y += row_height;
  }
  const std::string memory = std::to_string(panel.frames) + " pages of memory";
  return drawn + text_at(x, head + 3 * row_height + 4, memory, "fill=\"#57606a\"");
}

std::string picture() {
  const std::vector<Panel> panels = live();
  const std::string width = std::to_string(panel_width * static_cast<int>(panels.size()) + 10),
                    height = std::to_string(head + 3 * row_height + 20);
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + width + " " + height +
                    "\" width=\"" + width + "\" height=\"" + height +
                    "\" font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"13\">\n"
                    "<title>Boxes joined by a bar are one page of memory; small letters: written later</title>\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
  int x = 10;
  for (const Panel& panel : panels) {
    svg += draw(panel, x);
    x += panel_width;
  }
  return svg + "</svg>\n";
}

int run(std::span<const char* const> arguments) {
  if (arguments.size() > 1) examples::refuse("a second file", arguments[1]);
  if (arguments.empty()) {
    std::fputs(picture().c_str(), stdout);
    return examples::done;
  }
  const std::string file = arguments[0];
  if (file.empty() || file.starts_with('-')) examples::refuse("no such option", file);
  if (examples::file_text(file) != picture()) {
    throw std::runtime_error(file + " holds another picture: picture > " + file + " puts it right");
  }
  return examples::done;
}

}  // namespace

int main(int argc, char** argv) { return examples::run_program("picture", usage_text, argc, argv, run); }

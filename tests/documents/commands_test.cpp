// Promise: what the README, the guide and the tests' page tell a reader to type is tried: each preset is run by
// .ci/run, and each other command stands in commands.txt with the file that tries it, or with why nobody does.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cow::test {
namespace {

const std::string project = COW_PROJECT;
const std::vector<std::string> pages = {"README.md", "include/README.md", "tests/README.md"};

std::string content_of(const std::string& file) {
  std::ifstream in(project + "/" + file);
  EXPECT_TRUE(in) << "there is no " << file;
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

bool is_command(const std::string& span) {
  if (span.rfind("build/", 0) == 0) return span.find(' ') != span.npos;  // else a folder
  static const std::vector<std::string> programs = {"cmake ",  "ctest ",  "g++ ", "git ",      "gdb ",
                                                    "source ", "export ", ".ci/", "$(command"};
  return std::any_of(programs.begin(), programs.end(), [&](const auto& p) { return span.rfind(p, 0) == 0; });
}

/// Lines of sh blocks, and code in the text that begins with a program's name.
std::set<std::string> commands_in(const std::string& page) {
  std::set<std::string> commands;
  std::string block;  // the language; "" outside
  for (const std::string& line : lines_of(content_of(page))) {
    if (line.rfind("```", 0) == 0) {
      block = block.empty() ? line.substr(3) + " " : "";
    } else if (block == "sh ") {
      if (!line.empty() && line[0] != '#') commands.insert(line);
    } else if (block.empty()) {
      for (std::size_t at = line.find('`'); at != line.npos; at = line.find('`', at)) {
        const std::size_t end = line.find('`', at + 1);
        if (end == line.npos) break;
        const std::string span = line.substr(at + 1, end - at - 1);
        if (is_command(span)) commands.insert(span);
        at = end + 1;
      }
    }
  }
  return commands;
}

/// The command, and "file: text that it has" or "marked: reason".
std::map<std::string, std::string> known_commands() {
  std::map<std::string, std::string> known;
  for (const std::string& line : lines_of(content_of("tests/documents/commands.txt"))) {
    const std::size_t bar = line.find(" | ");
    if (line.empty() || line[0] == '#') continue;
    EXPECT_NE(bar, line.npos) << line;
    known[line.substr(0, bar)] = line.substr(bar + 3);
  }
  return known;
}

std::string preset_of(const std::string& command) {
  const std::string option = "--preset ";
  const std::size_t at = command.find(option);
  if (at == command.npos) return "";
  return command.substr(at + option.size(), command.find_first_of(" `", at + option.size()) - at - option.size());
}

bool is_run_by_ci(const std::string& preset) {
  const std::string ci = content_of(".ci/run");
  for (const std::string before : {"--preset ", "readme_command "}) {
    for (const char after : std::string(" \n)")) {
      if (ci.find(before + preset + after) != ci.npos) return true;
    }
  }
  return false;
}

TEST(Commands, in_the_documents_are_tried_or_marked) {
  const auto known = known_commands();
  for (const std::string& page : pages) {
    for (const std::string& command : commands_in(page)) {
      if (!preset_of(command).empty()) continue;
      EXPECT_TRUE(known.contains(command)) << page << " has '" << command << "', tests/documents/commands.txt has not";
    }
  }
}

TEST(Commands, that_are_tried_stand_in_the_file_that_tries_them) {
  for (const auto& [command, by] : known_commands()) {
    const std::size_t colon = by.find(": ");
    ASSERT_NE(colon, by.npos) << command;
    if (by.rfind("marked: ", 0) == 0) continue;
    EXPECT_NE(content_of(by.substr(0, colon)).find(by.substr(colon + 2)), std::string::npos) << command << ": " << by;
  }
}

TEST(Commands, that_are_known_stand_in_a_document) {
  std::set<std::string> all;
  for (const std::string& page : pages) all.merge(commands_in(page));
  for (const auto& [command, by] : known_commands()) EXPECT_TRUE(all.contains(command)) << command;
}

TEST(Presets, in_the_documents_exist_and_are_run_by_ci) {
  const std::string presets = content_of("CMakePresets.json");
  for (const std::string& page : pages) {
    for (const std::string& command : commands_in(page)) {
      const std::string preset = preset_of(command);
      if (preset.empty()) continue;
      EXPECT_NE(presets.find("\"name\": \"" + preset + "\""), std::string::npos) << page << ": " << command;
      EXPECT_TRUE(is_run_by_ci(preset)) << page << ": " << command;
    }
  }
}

TEST(Presets, are_all_in_a_document) {
  std::string documents;
  for (const std::string& page : pages) documents += content_of(page);
  const std::string presets = content_of("CMakePresets.json");
  const std::string list = presets.substr(presets.find("\"workflowPresets\""));
  for (const std::string& line : lines_of(list)) {
    const std::size_t at = line.find("\"name\": \"");
    if (at == line.npos) continue;
    const std::string name = line.substr(at + 9, line.find('"', at + 9) - at - 9);
    EXPECT_NE(documents.find("--preset " + name), std::string::npos) << name;
  }
}

/// A page without its blocks of code.
std::string prose_of(const std::string& page) {
  std::string prose;
  bool code = false;
  for (const std::string& line : lines_of(content_of(page))) {
    const bool fence = line.rfind("```", 0) == 0;
    if (!fence && !code) prose += line + "\n";
    code = code != fence;
  }
  return prose;
}

/// The targets of links to files of this project.
std::vector<std::string> links_in(const std::string& page) {
  std::vector<std::string> links;
  const std::string text = prose_of(page);
  for (std::size_t at = text.find("]("); at != text.npos; at = text.find("](", at + 2)) {
    std::string target = text.substr(at + 2, text.find(')', at) - at - 2);
    target = target.substr(0, target.find('#'));
    if (!target.empty() && target.find("://") == target.npos) links.push_back(target);
  }
  return links;
}

TEST(Documents, link_to_files_that_are_there) {
  for (const std::string& page : pages) {
    const std::string folder = page.find('/') == page.npos ? "" : page.substr(0, page.rfind('/') + 1);
    for (const std::string& link : links_in(page)) {
      EXPECT_TRUE(std::ifstream(project + "/" + folder + link)) << page << " links to " << link;
    }
  }
}

TEST(Documents, begin_with_a_readme_of_one_screen_and_a_half) {
  EXPECT_LE(lines_of(content_of("README.md")).size(), 120U);
}

}  // namespace
}  // namespace cow::test

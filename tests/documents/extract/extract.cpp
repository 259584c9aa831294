// Makes tests of what stands in documents: each C++ block of the given pages becomes a function and a test that runs
// it. A block with a main() is a program of its own. A comment before a block says how it differs from the others:
//   <!-- snippet: compiled only -->         it cannot run here
//   <!-- snippet: at namespace scope -->    it declares; there is nothing to run
// Arguments: the file to write, and pages.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Snippet {
  std::size_t line = 0;  // of its first line
  std::string mark, includes, text;
};

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string mark_in(const std::string& line) {
  const std::string begin = "<!-- snippet: ", end = " -->";
  if (line.rfind(begin, 0) != 0 || !line.ends_with(end)) return "";
  return line.substr(begin.size(), line.size() - begin.size() - end.size());
}

std::vector<Snippet> snippets_of(const std::string& page) {
  std::ifstream in(page);
  if (!in) throw std::runtime_error("cannot read " + page);
  std::vector<Snippet> snippets;
  std::string line, mark;
  bool inside = false;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (inside && line == "```") {
      inside = false;
    } else if (inside) {
      (line.rfind("#include", 0) == 0 ? snippets.back().includes : snippets.back().text) += line + "\n";
      if (line.rfind("#include", 0) == 0) snippets.back().text += "\n";  // so that lines keep their numbers
    } else if (line == "```cpp") {
      inside = true;
      snippets.push_back({number + 1, mark, "", ""});
    }
    mark = mark_in(line);
  }
  return snippets;
}

/// "include/README.md" as "include_README".
std::string name_of(const std::string& page) {
  std::string name = std::filesystem::path(page).replace_extension().string();
  for (char& c : name) c = c == '/' || c == '.' || c == '-' ? '_' : c;
  return name;
}

void write_snippet(std::ostream& out, const Snippet& snippet, const std::string& page, std::size_t number) {
  const std::string function = name_of(page) + "_" + std::to_string(number);
  const std::string from = "#line " + std::to_string(snippet.line) + " \"" + page + "\"\n";
  const std::string test = "TEST(" + name_of(page) + ", snippet_" + std::to_string(number);
  if (const auto main = snippet.text.find("int main()"); main != std::string::npos) {
    std::string text = snippet.text;
    text.replace(main, 10, "int " + function + "()");
    out << from << text << test << "_is_a_program_that_succeeds) { EXPECT_EQ(" << function << "(), 0); }\n";
  } else if (holds(snippet.mark, "at namespace scope")) {
    out << "namespace " << function << " {\n" << from << snippet.text << "}\n";
  } else {
    out << "[[maybe_unused]] void " << function << "() {\n" << from << snippet.text << "}\n";
    if (!holds(snippet.mark, "compiled only")) out << test << "_runs) { " << function << "(); }\n";
  }
}

std::string tests_of(const std::vector<std::string>& pages) {
  std::ostringstream includes, tests;
  for (const std::string& page : pages) {
    std::size_t number = 0;
    for (const Snippet& snippet : snippets_of(page)) {
      includes << snippet.includes;
      write_snippet(tests, snippet, page, ++number);
    }
  }
  return "// Made by extract.cpp from the documents.\n#include \"documents/prelude.hpp\"\n" + includes.str() +
         "namespace documents {\nnamespace {\n" + tests.str() + "}  // namespace\n}  // namespace documents\n";
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 3) throw std::runtime_error("usage: extract OUT PAGE...");
    std::ofstream out(argv[1]);
    out << tests_of({argv + 2, argv + argc});
    if (!out.flush()) throw std::runtime_error(std::string("cannot write ") + argv[1]);
  } catch (const std::exception& error) {
    std::cerr << "extract: " << error.what() << '\n';
    return 1;
  }
}

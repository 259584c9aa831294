// Promise: a standard container that would hide raw pointers from cow::Allocator does not compile, and the message
// names what to use instead; the containers that are right compile.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <boost/version.hpp>

namespace cow::test {
namespace {

namespace fs = std::filesystem;

#if defined(__clang__)
constexpr const char* compiler = "clang++";
#else
constexpr const char* compiler = "g++";
#endif

struct Outcome {
  bool ran = false, compiled = false;
  std::string messages;
};

Outcome run(const std::string& command) {
  Outcome outcome;
  FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return outcome;
  char part[4096];
  while (const std::size_t n = std::fread(part, 1, sizeof part, pipe)) outcome.messages.append(part, n);
  const int status = ::pclose(pipe);
  outcome.ran = WIFEXITED(status) && WEXITSTATUS(status) != 127;
  outcome.compiled = status == 0;
  return outcome;
}

/// Asks the compiler about a program that fills a container in an arena.
Outcome compile(const std::string& includes, const std::string& type, const std::string& use) {
  static int programs = 0;
  const fs::path source = fs::temp_directory_path() /
                          ("cow-refused-" + std::to_string(::getpid()) + "-" + std::to_string(++programs) + ".cpp");
  std::ofstream(source) << "#include <cow/allocator.hpp>\n"
                        << includes << "\nvoid use(cow::Heap& heap) {\n  " << type
                        << " container{cow::Allocator<int>(heap)};\n  " << use << "\n}\n";
  const fs::path project = fs::path(__FILE__).parent_path().parent_path().parent_path();
  const Outcome outcome = run(std::string(compiler) + " -std=c++20 -fsyntax-only -I'" + (project / "include").string() +
                              "' '" + source.string() + "'");
  fs::remove(source);
  return outcome;
}

struct Case {
  const char* name;
  const char* includes;
  const char* type;
  const char* use;
  const char* alternative;  // nullptr: it compiles
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

class Container : public testing::TestWithParam<Case> {};

TEST_P(Container, is_refused_by_name_if_it_hides_raw_pointers) {
  const Case& c = GetParam();
  const Outcome outcome = compile(c.includes, c.type, c.use);
  if (!outcome.ran) GTEST_SKIP() << compiler << " is not here";
  if (c.alternative == nullptr) {
    EXPECT_TRUE(outcome.compiled) << outcome.messages;
  } else {
    EXPECT_FALSE(outcome.compiled);
    EXPECT_NE(outcome.messages.find(c.alternative), std::string::npos) << outcome.messages;
  }
}

#define ALLOCATOR(T) "cow::Allocator<" T ">"
INSTANTIATE_TEST_SUITE_P(
    Standard, Container,
    testing::Values(
        Case{"vector", "#include <vector>", "std::vector<int, " ALLOCATOR("int") ">", "container.push_back(1);",
             nullptr},
        Case{"deque", "#include <deque>", "std::deque<int, " ALLOCATOR("int") ">", "container.push_back(1);", nullptr},
        Case{"list", "#include <list>", "std::list<int, " ALLOCATOR("int") ">", "container.push_back(1);",
             "boost::container::list"},
        Case{"forward_list", "#include <forward_list>", "std::forward_list<int, " ALLOCATOR("int") ">",
             "container.push_front(1);", "slist"},
        Case{"map", "#include <map>", "std::map<int, int, std::less<int>, " ALLOCATOR("std::pair<const int, int>") ">",
             "container[1] = 1;", "flat_map"},
        Case{"set", "#include <set>", "std::set<int, std::less<int>, " ALLOCATOR("int") ">", "container.insert(1);",
             "flat_set"},
        Case{"unordered_map", "#include <unordered_map>",
             "std::unordered_map<int, int, std::hash<int>, std::equal_to<int>, " ALLOCATOR(
                 "std::pair<const int, int>") ">",
             "container[1] = 1;", "boost::unordered_map"},
        Case{"unordered_set", "#include <unordered_set>",
             "std::unordered_set<int, std::hash<int>, std::equal_to<int>, " ALLOCATOR("int") ">",
             "container.insert(1);", "boost::unordered_map"},
        Case{"vector_of_bool", "#include <vector>", "std::vector<bool, " ALLOCATOR("bool") ">",
             "container.push_back(true);", "boost::container::vector<bool>"},
        Case{"string", "#include <string>", "std::basic_string<char, std::char_traits<char>, " ALLOCATOR("char") ">",
             "container.append(\"1\");", "boost::container::basic_string"}),
    [](const auto& c) { return std::string(c.param.name); });

}  // namespace
}  // namespace cow::test

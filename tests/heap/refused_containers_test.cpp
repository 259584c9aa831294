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

/// Asks the compiler about a function that uses a heap.
Outcome compile(const std::string& includes, const std::string& body) {
  static int programs = 0;
  const fs::path source = fs::temp_directory_path() /
                          ("cow-refused-" + std::to_string(::getpid()) + "-" + std::to_string(++programs) + ".cpp");
  std::ofstream(source) << "#include <cow/allocator.hpp>\n#include <cow/memory_resource.hpp>\n"
                        << includes << "\nvoid use([[maybe_unused]] cow::Heap& heap) {\n  " << body << "\n}\n";
  const fs::path project = fs::path(__FILE__).parent_path().parent_path().parent_path();
  const Outcome outcome = run(std::string(compiler) + " -std=c++20 -fsyntax-only -I'" + (project / "include").string() +
                              "' '" + source.string() + "'");
  fs::remove(source);
  return outcome;
}

/// alternative: what the message must name; nullptr: it must compile.
void expect(const char* alternative, const Outcome& outcome) {
  if (!outcome.ran) GTEST_SKIP() << compiler << " is not here";
  if (alternative == nullptr) {
    EXPECT_TRUE(outcome.compiled) << outcome.messages;
  } else {
    EXPECT_FALSE(outcome.compiled);
    EXPECT_NE(outcome.messages.find(alternative), std::string::npos) << outcome.messages;
  }
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
  expect(c.alternative,
         compile(c.includes, std::string(c.type) + " container{cow::Allocator<int>(heap)};\n  " + c.use));
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

#define PAIRS ALLOCATOR("std::pair<const int, int>")
#if BOOST_VERSION < 108400
constexpr const char* open_addressing = "boost::unordered_map, unordered_set";
#else
constexpr const char* open_addressing = nullptr;  // it follows the allocator's pointer
#endif
// What this Boost lacks is stood in for by a template of that name: only the name is refused.
#define STAND_IN(name, parameters, members)                                                                 \
  "#if __has_include(<boost/unordered/" name ".hpp>)\n#include <boost/unordered/" name                      \
  ".hpp>\n#else\n"                                                                                          \
  "namespace boost::unordered { template <" parameters ", class A> class " name " { public: explicit " name \
  "(const A&) {} " members " }; }\n#endif\n#include <boost/functional/hash.hpp>\n"
#define MAP_STAND_IN(name) STAND_IN(name, "class K, class T, class H, class E", "void emplace(int, int) {}")
#define SET_STAND_IN(name) STAND_IN(name, "class K, class H, class E", "void insert(int) {}")
#define MAP_OF(name) "boost::unordered::" name "<int, int, boost::hash<int>, std::equal_to<int>, " PAIRS ">"
#define SET_OF(name) "boost::unordered::" name "<int, boost::hash<int>, std::equal_to<int>, " ALLOCATOR("int") ">"
INSTANTIATE_TEST_SUITE_P(
    OpenAddressing, Container,
    testing::Values(Case{"unordered_flat_map", MAP_STAND_IN("unordered_flat_map"), MAP_OF("unordered_flat_map"),
                         "container.emplace(1, 1);", open_addressing},
                    Case{"unordered_flat_set", SET_STAND_IN("unordered_flat_set"), SET_OF("unordered_flat_set"),
                         "container.insert(1);", open_addressing},
                    Case{"unordered_node_map", MAP_STAND_IN("unordered_node_map"), MAP_OF("unordered_node_map"),
                         "container.emplace(1, 1);", open_addressing},
                    Case{"unordered_node_set", SET_STAND_IN("unordered_node_set"), SET_OF("unordered_node_set"),
                         "container.insert(1);", open_addressing},
                    Case{"concurrent_flat_map", MAP_STAND_IN("concurrent_flat_map"), MAP_OF("concurrent_flat_map"),
                         "container.emplace(1, 1);", open_addressing},
                    Case{"unordered_flat_map_with_an_adapted_allocator",
                         MAP_STAND_IN("unordered_flat_map") "#include <scoped_allocator>\n",
                         "boost::unordered::unordered_flat_map<int, int, boost::hash<int>, std::equal_to<int>, "
                         "std::scoped_allocator_adaptor<" PAIRS ">>",
                         "container.emplace(1, 1);", open_addressing}),
    [](const auto& c) { return std::string(c.param.name); });

struct Use {
  const char* name;
  const char* includes;
  const char* body;
  const char* alternative;  // nullptr: it compiles
};

std::ostream& operator<<(std::ostream& out, const Use& u) { return out << u.name; }

class Body : public testing::TestWithParam<Use> {};

TEST_P(Body, is_refused_if_it_would_share_or_lose_content) {
  expect(GetParam().alternative, compile(GetParam().includes, GetParam().body));
}

constexpr const char* shared_instead = "boost::interprocess::shared_ptr";
constexpr const char* pmr_instead = "std::pmr::string, with cow::MemoryResource";
INSTANTIATE_TEST_SUITE_P(
    Pointers, Body,
    testing::Values(Use{"allocate_shared", "#include <memory>",
                        "(void)std::allocate_shared<int>(cow::Allocator<int>(heap), 1);", shared_instead},
                    Use{"allocate_shared_of_an_array", "#include <memory>",
                        "(void)std::allocate_shared<int[]>(cow::Allocator<int>(heap), 5);", shared_instead},
                    Use{"shared_ptr_with_an_allocator", "#include <memory>",
                        "(void)std::shared_ptr<int>(new int, std::default_delete<int>(), cow::Allocator<int>(heap));",
                        shared_instead},
                    Use{"promise", "#include <future>",
                        "std::promise<int> p(std::allocator_arg, cow::Allocator<int>(heap));", shared_instead},
                    Use{"promise_by_its_name", "#include <future>",
                        "std::promise<int> p(std::allocator_arg, cow::Allocator<int>(heap));",
                        "the state that std::promise and"}),
    [](const auto& u) { return std::string(u.param.name); });

/// A container that is made without its heap: one message, in words.
#define NESTED                                                                                                  \
  "#include <boost/container/map.hpp>\n#include <boost/container/scoped_allocator.hpp>\n"                       \
  "#include <boost/container/vector.hpp>\n#include <boost/unordered_map.hpp>\n"                                 \
  "namespace bc = boost::container;\nusing Inner = bc::vector<int, cow::Allocator<int>>;\n"                     \
  "using Pair = std::pair<const int, Inner>;\n"                                                                 \
  "template <class A> using MapBy = bc::map<int, Inner, std::less<int>, A>;\n"                                  \
  "using Adapted = bc::scoped_allocator_adaptor<cow::Allocator<Pair>>;\n"
constexpr const char* adaptor_instead = "boost::container::scoped_allocator_adaptor<cow::Allocator<Element>>";
INSTANTIATE_TEST_SUITE_P(
    WithoutTheirHeap, Body,
    testing::Values(
        Use{"elements_of_a_vector", NESTED,
            "bc::vector<Inner, cow::Allocator<Inner>> v{cow::Allocator<int>(heap)}; v.emplace_back();",
            adaptor_instead},
        Use{"elements_by_resize", NESTED,
            "bc::vector<Inner, cow::Allocator<Inner>> v{cow::Allocator<int>(heap)}; v.resize(3);", adaptor_instead},
        Use{"values_of_a_map", NESTED, "(*heap.create<MapBy<cow::Allocator<Pair>>>(heap))[1].push_back(1);",
            adaptor_instead},
        Use{"values_of_an_unordered_map", NESTED,
            "using Map = boost::unordered_map<int, Inner, boost::hash<int>, std::equal_to<int>, "
            "cow::Allocator<Pair>>; (*heap.create<Map>(heap))[1].push_back(1);",
            adaptor_instead},
        Use{"one_alone", NESTED, "(void)heap.create<Inner>();", "heap.create<Map>(heap)"},
        Use{"not_values_of_an_adapted_map", NESTED, "(*heap.create<MapBy<Adapted>>(heap))[1].push_back(1);", nullptr},
        Use{"not_values_that_are_given_theirs", NESTED,
            "heap.create<MapBy<cow::Allocator<Pair>>>(heap)->emplace(1, Inner(heap));", nullptr}),
    [](const auto& u) { return std::string(u.param.name); });

#define STANDARD_INCLUDES                                                                                       \
  "#include <any>\n#include <functional>\n#include <array>\n#include <deque>\n#include <map>\n"                 \
  "#include <memory>\n#include <memory_resource>\n#include <optional>\n#include <queue>\n#include <string>\n"   \
  "#include <tuple>\n#include <variant>\n#include <vector>\n#include <boost/container/vector.hpp>\n"
#define CREATES(type) STANDARD_INCLUDES, "(void)heap.create<" type ">();"
INSTANTIATE_TEST_SUITE_P(
    MemoryElsewhere, Body,
    testing::Values(
        Use{"string", CREATES("std::string"), pmr_instead}, Use{"vector", CREATES("std::vector<int>"), pmr_instead},
        Use{"const_map", CREATES("const std::map<int, int>"), pmr_instead},
        Use{"pmr_vector_of_strings", CREATES("std::pmr::vector<std::string>"), pmr_instead},
        Use{"pmr_map_to_strings", CREATES("std::pmr::map<int, std::string>"), pmr_instead},
        Use{"array_of_strings", CREATES("std::array<std::string, 2>"), pmr_instead},
        Use{"pair_with_a_string", CREATES("std::pair<int, std::string>"), pmr_instead},
        Use{"tuple_with_a_string", CREATES("std::tuple<int, std::string>"), pmr_instead},
        Use{"optional_string", CREATES("std::optional<std::string>"), pmr_instead},
        Use{"variant_with_a_string", CREATES("std::variant<int, std::string>"), pmr_instead},
        Use{"queue", CREATES("std::queue<int>"), pmr_instead},
        Use{"unique_ptr", CREATES("std::unique_ptr<int>"), pmr_instead},
        Use{"shared_ptr", CREATES("std::shared_ptr<int>"), pmr_instead},
        Use{"weak_ptr", CREATES("std::pair<int, std::weak_ptr<int>>"), pmr_instead},
        Use{"function", CREATES("std::pmr::vector<std::function<void(int)>>"), pmr_instead},
        Use{"any", CREATES("std::any"), pmr_instead},
        Use{"boost_vector", CREATES("boost::container::vector<int>"), pmr_instead},
        Use{"boost_string", STANDARD_INCLUDES "#include <boost/container/string.hpp>\n",
            "(void)heap.create<boost::container::string>();", pmr_instead},
        Use{"boost_map_to_boost_vectors", STANDARD_INCLUDES "#include <boost/container/map.hpp>\n",
            "(void)heap.create<boost::container::map<int, int>>();", pmr_instead},
        Use{"elements_of_an_allocator", STANDARD_INCLUDES,
            "boost::container::vector<std::string, cow::Allocator<std::string>> v{cow::Allocator<int>(heap)};"
            " v.emplace_back();",
            pmr_instead},
        Use{"no_pmr_containers", CREATES("std::pmr::map<int, std::pmr::vector<std::pmr::string>>"), nullptr},
        Use{"no_numbers", CREATES("std::tuple<int, std::array<double, 3>, std::optional<long>>"), nullptr},
        Use{"no_map_of_its_own_kind",
            STANDARD_INCLUDES
            "#include <boost/container/map.hpp>\n"
            "struct Tree : boost::container::map<int, Tree, std::less<int>, "
            "cow::Allocator<std::pair<const int, Tree>>> {\n"
            "  explicit Tree(const cow::Heap& heap) : map(key_compare(), allocator_type(heap)) {}\n};",
            "(void)heap.create<Tree>(heap);", nullptr},
        Use{"no_shared_ptr_that_the_program_vouches_for",
            STANDARD_INCLUDES
            "template <class T> inline constexpr bool cow::may_keep_memory_elsewhere<std::shared_ptr<T>> = true;",
            "(void)heap.create<std::shared_ptr<int>>();", nullptr},
        Use{"no_string_that_the_program_vouches_for",
            STANDARD_INCLUDES "template <> inline constexpr bool cow::may_keep_memory_elsewhere<std::string> = true;",
            "(void)heap.create<std::pmr::vector<std::string>>();", nullptr}),
    [](const auto& u) { return std::string(u.param.name); });

}  // namespace
}  // namespace cow::test

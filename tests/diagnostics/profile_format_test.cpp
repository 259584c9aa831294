// Promise: a fault profile reads well as a table, as folded stacks and as a flame graph, whatever the names in it.
#include <algorithm>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "cow/fault_profile.hpp"
#include "diagnostics/xml.hpp"

namespace cow::test {
namespace {

CodePlace place(std::string function, std::string file = "", std::uint32_t line = 0) {
  return {std::move(function), std::move(file), line, "program", 0x1234, false};
}

/// Every 10th fault sampled: 6 samples, for 60 faults.
FaultProfile made_up() {
  FaultProfile profile;
  profile.every = 10;
  profile.faults = 64;
  profile.page_bytes = 4096;
  profile.stacks.push_back({"heap",
                            {place("std::fill(int)", "/usr/include/fill.h", 3),
                             place("app::paint(app::Canvas&)", "src/app.cpp", 42), place("main")},
                            false,
                            4,
                            8,
                            40'000});
  profile.stacks.push_back(
      {"heap", {place("memmove"), place("app::load()", "src/app.cpp", 7), place("main")}, false, 2, 2, 10'000});
  return profile;
}

/// Names that break formats.
FaultProfile nasty() {
  FaultProfile profile = made_up();
  profile.stacks[0].arena = "a<b>&\"c\"; d'\n\x01\xc3\xa9";
  profile.stacks[0].places[0].function = "bool operator<< <char; &&>(x const&) const";
  profile.stacks[1].places[0].function = "";
  return profile;
}

TEST(ProfileTable, a_site_is_the_innermost_place_of_the_program_itself) {
  const std::string text = to_text(made_up());
  EXPECT_NE(text.find("app::paint  app.cpp:42  (in std::fill)"), std::string::npos) << text;
  EXPECT_NE(text.find("app::load  app.cpp:7  (in memmove)"), std::string::npos) << text;
  EXPECT_LT(text.find("app::paint"), text.find("app::load")) << "the most expensive first";
}

TEST(ProfileTable, debug_information_of_the_system_libraries_does_not_make_them_the_site) {
  FaultProfile profile = made_up();
  profile.stacks[1].places[0].file = "../sysdeps/memmove.S";
  profile.stacks[1].places[0].module = "libc.so.6";
  EXPECT_NE(to_text(profile).find("app::load  app.cpp:7  (in memmove)"), std::string::npos) << to_text(profile);
}

TEST(ProfileTable, numbers_are_estimates_for_all_faults) {
  const std::string text = to_text(made_up());
  EXPECT_NE(text.find("64 faults, estimated from one in 10"), std::string::npos) << text;
  EXPECT_NE(text.find("       40        80    320 KiB        400  app::paint"), std::string::npos) << text;
}

TEST(ProfileTable, one_is_not_told_as_many_and_1024_of_a_unit_as_one_of_the_next) {
  FaultProfile profile = made_up();
  profile.faults = profile.dropped = 1;
  profile.stacks[0].pages = 26'211;  // 1023.9 MiB by estimate
  const std::string text = to_text(profile);
  EXPECT_NE(text.find("1 fault, estimated"), std::string::npos) << text;
  EXPECT_NE(text.find("; 1 sample dropped"), std::string::npos) << text;
  EXPECT_NE(text.find(" 1.0 GiB "), std::string::npos) << text;
}

TEST(ProfileTable, what_is_beyond_the_limit_is_summed_up) {
  const std::string text = to_text(made_up(), 1);
  EXPECT_EQ(text.find("app::load"), std::string::npos);
  EXPECT_NE(text.find("       20        20   80.0 KiB        100  1 more"), std::string::npos) << text;
}

TEST(ProfileTable, unknown_functions_are_told_by_module_and_offset) {
  EXPECT_NE(to_folded(nasty()).find("program+0x1234"), std::string::npos);
}

TEST(FoldedStacks, each_line_is_a_stack_from_the_outermost_and_its_weight) {
  EXPECT_EQ(to_folded(made_up()), "heap;main;app::load;memmove 20\nheap;main;app::paint;std::fill 40\n");
  EXPECT_EQ(to_folded(made_up(), FaultWeight::pages),
            "heap;main;app::load;memmove 20\nheap;main;app::paint;std::fill 80\n");
}

TEST(FoldedStacks, inlined_functions_are_marked) {
  FaultProfile profile = made_up();
  profile.stacks[0].places[0].inlined = true;
  EXPECT_NE(to_folded(profile).find("std::fill_[i] 40"), std::string::npos);
}

TEST(FoldedStacks, no_name_can_break_a_line) {
  std::istringstream lines(to_folded(nasty()));
  std::string line;
  std::size_t count = 0;
  for (; std::getline(lines, line); ++count) {
    EXPECT_EQ(std::count(line.begin(), line.end(), ';'), 3) << line;
    const std::size_t space = line.rfind(' ');
    ASSERT_NE(space, std::string::npos);
    EXPECT_EQ(line.find_first_not_of("0123456789", space + 1), std::string::npos) << line;
  }
  EXPECT_EQ(count, 2U);
}

TEST(FlameGraph, is_well_formed_whatever_the_names) {
  EXPECT_TRUE(is_xml(to_svg(made_up())));
  EXPECT_TRUE(is_xml(to_svg(nasty()))) << to_svg(nasty());
  EXPECT_TRUE(is_xml(to_svg(FaultProfile{})));
}

TEST(FlameGraph, has_a_tooltip_for_each_box) {
  const std::string svg = to_svg(made_up(), FaultWeight::faults);
  EXPECT_NE(svg.find("<title>app::paint: 40 faults (66.7 %)</title>"), std::string::npos) << svg;
  EXPECT_NE(svg.find("<title>main: 60 faults (100.0 %)</title>"), std::string::npos) << svg;
}

TEST(FlameGraph, labels_are_cut_to_their_boxes) {
  FaultProfile profile = made_up();
  profile.stacks[0].places[0].function = std::string(500, 'x');
  const std::string svg = to_svg(profile);
  EXPECT_NE(svg.find("x..</text>"), std::string::npos);
  std::size_t longest = 0;
  for (std::size_t at = svg.find("<text"); at != std::string::npos; at = svg.find("<text", at + 1)) {
    const std::size_t begin = svg.find('>', at) + 1;
    longest = std::max(longest, svg.find('<', begin) - begin);
  }
  EXPECT_LE(longest, 960 / 6.6);
}

TEST(XmlReader, notices_what_is_broken) {
  for (const char* const broken : {"", "<a>", "<a></b>", "<a x=1/>", "<a>&</a>", "<a x=\"<\"/>", "<a>\x01</a>", "<a"}) {
    EXPECT_FALSE(is_xml(broken)) << broken;
  }
}

}  // namespace
}  // namespace cow::test

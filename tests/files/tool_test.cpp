// Promise: cow-file says what it was asked for, as text and as JSON, and its exit codes are those of its manual page.
#include <array>
#include <cstdio>

#include <sys/stat.h>
#include <sys/wait.h>

#include "files/saved.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 50;

struct Said {
  int code = -1;
  std::string text;
};

class Tool : public testing::Test {
 protected:
  Tool() {
    arena.paint_run(3, 20, 3);
    const Snapshot first = arena.arena().snapshot();
    SaveOptions options = unsynced();
    options.note = "a \"note\"\n";
    save(first, folder / "a", options);
    arena.paint(5, 6);
    arena.paint(6, 6);
    arena.paint(40, 6);
    arena.paint(4, 0);
    save(arena.arena().snapshot(), folder / "b", layer_on(first, folder / "a"));
  }

  /// Both streams of a command line, in which @ stands for the folder.
  Said run(std::string line) const {
    for (std::size_t at = 0; (at = line.find('@', at)) != std::string::npos;)
      line.replace(at, 1, folder.path().string() + "/");
    FILE* const pipe = ::popen((COW_FILE_TOOL " " + line + " 2>&1").c_str(), "r");
    Said said;
    std::array<char, 4096> some;
    for (std::size_t got; (got = std::fread(some.data(), 1, some.size(), pipe)) != 0;)
      said.text.append(some.data(), got);
    said.code = WEXITSTATUS(::pclose(pipe));
    return said;
  }

  Folder folder{memory_folder()};
  Painted arena = painted(pages);
};

TEST_F(Tool, tells_what_a_file_says_of_itself) {
  const Said said = run("info @a @b");
  EXPECT_EQ(said.code, 0) << said.text;
  const std::string content = page_size() == 4096 ? "80.0 KiB, 20 pages of 4.0 KiB" : "20 pages of ";
  for (const std::string& part :
       {std::string("a whole file"), std::string("\"painted\" of "), content, std::string("lies on")}) {
    EXPECT_NE(said.text.find(part), std::string::npos) << part << " in " << said.text;
  }
  const Said json = run("info --json @a @nowhere");
  EXPECT_EQ(json.code, 3);
  EXPECT_NE(json.text.find("\"pages\": 20,"), std::string::npos) << json.text;
  EXPECT_NE(json.text.find("\"note\": \"a \\\"note\\\"\\u000a\""), std::string::npos) << json.text;
  EXPECT_NE(json.text.find("\"base_id\": null"), std::string::npos) << json.text;
  EXPECT_NE(json.text.find("\"error\": "), std::string::npos) << json.text;
}

TEST_F(Tool, verifies) {
  EXPECT_EQ(run("verify @a @b").code, 0);
  std::string bytes = bytes_of(folder / "a");
  bytes[bytes.find("\3\0\0\0", 4096)] ^= 1;
  put_bytes(folder / "bad", bytes);
  const Said said = run("verify @a @bad @b");
  EXPECT_EQ(said.code, 1);
  EXPECT_NE(said.text.find("page 3 of the arena"), std::string::npos) << said.text;
  EXPECT_NE(said.text.find("b: all well"), std::string::npos) << said.text;
}

TEST_F(Tool, compares) {
  EXPECT_EQ(run("diff @a @a").code, 0);
  const Said said = run("diff @a @a,@b");
  EXPECT_EQ(said.code, 1);
  const std::string first = "0x00000000" + std::string(page_size() == 4096 ? "4000  12.0 KiB" : "");
  EXPECT_NE(said.text.find(first), std::string::npos) << said.text;
  EXPECT_NE(said.text.find("4 pages in 2 runs"), std::string::npos) << said.text;
  const Said json = run("diff --json @a @a,@b");
  EXPECT_NE(json.text.find("{\"differ\": [{\"offset\": "), std::string::npos) << json.text;
  EXPECT_NE(json.text.find("\"pages\": 4"), std::string::npos) << json.text;
  const Said alone = run("diff @a @b");
  EXPECT_EQ(alone.code, 1);
  EXPECT_NE(alone.text.find("it is a layer; name it behind the file"), std::string::npos) << alone.text;
  EXPECT_NE(run("diff --json @a @a").text.find("{\"differ\": []"), std::string::npos);
}

TEST_F(Tool, squashes_and_extracts) {
  EXPECT_EQ(run("squash -o @c @a @b").code, 0);
  EXPECT_EQ(run("diff @c @a,@b").code, 0);
  EXPECT_TRUE(shows(load(folder / "c", {}), arena.picture()));
  EXPECT_EQ(run("extract -o @raw @a @b").code, 0);
  const std::string expected(reinterpret_cast<const char*>(arena.arena().data()), arena.arena().capacity());
  EXPECT_TRUE(bytes_of(folder / "raw") == expected);
  EXPECT_TRUE(run("extract -o - @a @b").text == expected);
  const std::string part = "--offset " + std::to_string(5 * page_size() - 3) + " --bytes 10 ";
  EXPECT_TRUE(run("extract -o - " + part + "@a @b").text == expected.substr(5 * page_size() - 3, 10));
  EXPECT_EQ(run("extract -o @part " + part + "@a").code, 0);
  EXPECT_EQ(std::filesystem::file_size(folder / "part"), 10U);
  EXPECT_EQ(run("extract -o @raw @b").code, 1);
}

TEST_F(Tool, takes_offsets_as_diff_prints_them) {
  const std::string expected(reinterpret_cast<const char*>(arena.arena().data()), arena.arena().capacity());
  const std::string told = run("diff @a @a,@b").text;
  const std::size_t offset = std::stoull(told, nullptr, 16);
  EXPECT_EQ(offset, 4 * page_size()) << told;
  const Said said = run("extract -o - --offset " + told.substr(0, told.find(' ')) + " --bytes 0x2001 @a @b");
  EXPECT_TRUE(said.text == expected.substr(offset, 0x2001)) << said.text.substr(0, 200);
  EXPECT_EQ(run("extract -o - --offset 0x @a").code, 2);
}

TEST_F(Tool, takes_a_name_with_a_comma_where_there_is_such_a_file) {
  std::filesystem::copy_file(folder / "a", folder / "a,of monday");
  const Said said = run("info '@a,of monday'");
  EXPECT_EQ(said.code, 0) << said.text;
  EXPECT_EQ(run("diff @a '@a,of monday'").code, 0);
  EXPECT_EQ(run("diff @a '@a,of tuesday'").code, 3);
}

TEST_F(Tool, extracts_holes_where_the_content_is_zero) {
  EXPECT_EQ(run("extract -o @raw @a @b").code, 0);
  struct stat raw {};
  ASSERT_EQ(::stat((folder / "raw").c_str(), &raw), 0);
  EXPECT_EQ(static_cast<std::size_t>(raw.st_size), pages * page_size());
  EXPECT_LE(static_cast<std::size_t>(raw.st_blocks) * 512, 22 * page_size());  // 20, and the last
}

TEST_F(Tool, refuses_what_makes_no_sense) {
  for (const char* line :
       {"", "frobnicate @a", "info", "diff @a", "squash @a", "info --what @a", "extract -o - --bytes x @a"}) {
    const Said said = run(line);
    EXPECT_EQ(said.code, 2) << line << ": " << said.text;
    EXPECT_NE(said.text.find("cow-file: "), std::string::npos) << said.text;
  }
  EXPECT_EQ(run("verify /dev/null").code, 1);
  EXPECT_NE(run("verify @").text.find("it is a folder; name the saved file in it"), std::string::npos);
  EXPECT_EQ(run("info @a > /dev/full").code, 3);
  EXPECT_EQ(run("--help").code, 0);
  EXPECT_EQ(run("--version").code, 0);
}

TEST_F(Tool, each_command_refuses_the_options_of_others) {
  const std::pair<std::string, std::string> commands[] = {{"info @a", "--json"},
                                                          {"verify @a", "--json -q"},
                                                          {"diff @a @a", "--json -q"},
                                                          {"squash -o @o @a", "-o --zstd --note --no-sync -q"},
                                                          {"extract -o @o @a", "-o --offset --bytes -q"}};
  const std::string values[] = {"-o @o",    "--offset 0", "--bytes 1", "--zstd", "--zstd=2",
                                "--note x", "--no-sync",  "--json",    "-q"};
  for (const auto& [line, own] : commands) {
    for (const std::string& option : values) {
      const std::string name = option.substr(0, option.find_first_of(" ="));
      const Said said = run(line + " " + option);
      const bool is_own = (" " + own + " ").find(" " + name + " ") != std::string::npos;
      EXPECT_EQ(said.code == 2 && said.text.find("has no option") != std::string::npos, !is_own)
          << line << " " << option << ": " << said.text;
    }
  }
  EXPECT_EQ(run("squash -o @o --zstd=4294967297 @a").code, 2);
}

}  // namespace
}  // namespace cow::test

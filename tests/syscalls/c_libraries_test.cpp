// Promise: C libraries whose buffers lie in an arena read their input to its end under the kernel barrier, with a
// snapshot after every piece; and what the guide says of the other barriers: that they take the refused read for the end.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>

#include <unistd.h>

#include <gtest/gtest.h>

#include "cow/cow.h"
#include "cow/cow_heap.h"
#include "cow/cow.hpp"
#include "support/barriers.hpp"

#ifdef HAVE_LIBXML2
#include <libxml/parser.h>
#include <libxml/xmlreader.h>
#endif
#ifdef HAVE_LUA
#include <lua.hpp>
#endif

namespace cow::test {
namespace {

constexpr std::size_t items = 40'000;

/// A file with some megabytes of XML, without a name.
[[maybe_unused]] int open_long_document() {
  std::FILE* const file = std::tmpfile();
  std::fputs("<list>", file);
  for (std::size_t i = 0; i < items; ++i) std::fprintf(file, "<item number='%zu'>some text of it</item>\n", i);
  std::fputs("</list>", file);
  std::fflush(file);
  const int copy = ::dup(::fileno(file));
  std::fclose(file);
  ::lseek(copy, 0, SEEK_SET);
  return copy;
}

int in_c(Barrier barrier) {
  switch (barrier) {
    case Barrier::userfaultfd: return COW_BARRIER_USERFAULTFD;
    case Barrier::kernel: return COW_BARRIER_KERNEL;
    default: return COW_BARRIER_MPROTECT;
  }
}

class CLibrary : public BarrierTest {
 protected:
  void SetUp() override {
    BarrierTest::SetUp();
    if (IsSkipped()) return;
    cow_arena_options options;
    cow_arena_options_init(&options);
    options.capacity = std::size_t{64} << 20;
    options.barrier = in_c(GetParam());
    ASSERT_EQ(cow_arena_open(&options, &arena_), 0) << cow_last_error();
    ASSERT_EQ(cow_heap_open(arena_, nullptr, &heap_), 0) << cow_last_error();
  }
  void TearDown() override {
    cow_snapshot_release(newest_);
    cow_heap_close(heap_);
    cow_arena_close(arena_);
  }
  void cut() {
    cow_snapshot_release(newest_);
    ASSERT_EQ(cow_arena_snapshot(arena_, &newest_), 0) << cow_last_error();
  }
  bool loses_nothing() const { return GetParam() == Barrier::kernel; }

  cow_arena* arena_ = nullptr;
  cow_heap* heap_ = nullptr;
  cow_snapshot* newest_ = nullptr;
};
COW_FOR_EVERY_BARRIER(CLibrary);

#ifdef HAVE_LIBXML2
TEST_P(CLibrary, an_xml_parser_reads_a_document_to_its_end) {
  ASSERT_EQ(cow_process_heap_set(heap_), 0);
  ASSERT_EQ(xmlMemSetup(cow_process_free, cow_process_malloc, cow_process_realloc, cow_process_strdup), 0);
  xmlInitParser();
  const int input = open_long_document();
  xmlTextReaderPtr const reader = xmlReaderForFd(input, nullptr, nullptr, XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
  ASSERT_EQ(cow_arena_contains(arena_, reader), 1);
  std::size_t found = 0;
  int more = 1;
  while ((more = xmlTextReaderRead(reader)) == 1) {
    const bool begins = xmlTextReaderNodeType(reader) == XML_READER_TYPE_ELEMENT;
    if (begins && xmlStrEqual(xmlTextReaderConstName(reader), BAD_CAST "item") != 0 && ++found % 20 == 0) cut();
  }
  if (loses_nothing()) {
    EXPECT_EQ(more, 0) << "the document is not well-formed";
    EXPECT_EQ(found, items);
  } else {
    EXPECT_LT(found, items);
  }
  xmlFreeTextReader(reader);
  ::close(input);
  xmlCleanupParser();
  cow_process_heap_set(nullptr);
}
#else
TEST_P(CLibrary, an_xml_parser_reads_a_document_to_its_end) {
  GTEST_SKIP() << "built without libxml2 (Debian: libxml2-dev)";
}
#endif

#ifdef HAVE_LUA
TEST_P(CLibrary, an_interpreter_reads_a_file_to_its_end) {
  lua_State* const lua = lua_newstate(cow_lua_alloc, heap_);
  ASSERT_NE(lua, nullptr);
  luaL_openlibs(lua);
  const int input = open_long_document();
  const off_t size = ::lseek(input, 0, SEEK_END);
  ::lseek(input, 0, SEEK_SET);
  const std::string path = "/proc/self/fd/" + std::to_string(input);
  lua_pushstring(lua, path.c_str());
  lua_setglobal(lua, "path");
  std::function<void()> cutting = [this] { cut(); };
  lua_pushlightuserdata(lua, &cutting);
  const auto cut_here = [](lua_State* state) -> int {
    (*static_cast<std::function<void()>*>(lua_touserdata(state, lua_upvalueindex(1))))();
    return 0;
  };
  lua_pushcclosure(lua, cut_here, 1);
  lua_setglobal(lua, "snapshot");
  static constexpr const char* script =
      "local file, total = assert(io.open(path, 'rb')), 0\n"
      "while true do\n"
      "  local piece = file:read(65536)\n"
      "  if not piece then return total end\n"
      "  total = total + #piece\n"
      "  snapshot()\n"
      "end\n";
  ASSERT_EQ(luaL_dostring(lua, script), 0) << lua_tostring(lua, -1);
  const lua_Integer total = lua_tointeger(lua, -1);
  if (loses_nothing()) {
    EXPECT_EQ(total, size);
  } else {
    EXPECT_LT(total, size);
  }
  lua_close(lua);
  ::close(input);
}
#else
TEST_P(CLibrary, an_interpreter_reads_a_file_to_its_end) {
  GTEST_SKIP() << "built without Lua (Debian: liblua5.4-dev)";
}
#endif

}  // namespace
}  // namespace cow::test

/* Promise: C libraries as Debian ships them keep all their memory in an arena by the functions of cow/cow_heap.h, and
 * go back with it. Those that are not there are skipped. */
#include <stdlib.h>

#include "capi/check.h"

struct world {
  cow_arena* arena;
  cow_heap* heap;
};

static inline struct world world_of(void) {
  struct world world;
  cow_arena_options options;
  cow_arena_options_init(&options);
  options.capacity = (size_t)64 << 20;
  if (cow_arena_open(&options, &world.arena) != 0) check_failed(__FILE__, __LINE__, cow_last_error());
  if (cow_heap_open(world.arena, NULL, &world.heap) != 0) check_failed(__FILE__, __LINE__, cow_last_error());
  return world;
}

static inline uint64_t live_blocks(struct world world) {
  cow_heap_stats stats;
  stats.size = sizeof stats;
  return cow_heap_get_stats(world.heap, &stats) == 0 && stats.refused_frees == 0 ? stats.live_blocks : UINT64_MAX;
}

static inline void end_world(struct world world) {
  cow_heap_close(world.heap);
  cow_arena_close(world.arena);
}

#ifdef HAVE_SQLITE
#include <sqlite3.h>

static int rows(sqlite3* database) {
  sqlite3_stmt* statement = NULL;
  int count = -1;
  if (sqlite3_prepare_v2(database, "SELECT count(*) FROM t", -1, &statement, NULL) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW) {
    count = sqlite3_column_int(statement, 0);
  }
  sqlite3_finalize(statement);
  return count;
}

TEST(sqlite_goes_back_with_the_arena) {
  static const char* const fill =
      "CREATE TABLE t (a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
      "INSERT INTO t SELECT printf('row %d', i) FROM n";
  struct world world = world_of();
  sqlite3_mem_methods methods = COW_SQLITE_METHODS(NULL);
  cow_snapshot* snapshot;
  sqlite3* database;
  void* block;
  CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK);
  CHECK(sqlite3_initialize() != SQLITE_OK); /* no heap was named */
  methods.pAppData = world.heap;
  CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK);
  CHECK(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK);
  CHECK(sqlite3_open(":memory:", &database) == SQLITE_OK);
  CHECK(cow_arena_contains(world.arena, database) == 1);
  CHECK(sqlite3_exec(database, fill, NULL, NULL, NULL) == SQLITE_OK && rows(database) == 5000);
  CHECK(cow_arena_snapshot(world.arena, &snapshot) == 0);
  CHECK(sqlite3_exec(database, "DELETE FROM t WHERE rowid % 3", NULL, NULL, NULL) == SQLITE_OK);
  CHECK(rows(database) == 1666);
  CHECK(cow_arena_rollback(world.arena, snapshot) == 0);
  CHECK(rows(database) == 5000);
  CHECK((block = sqlite3_malloc(1000)) != NULL && sqlite3_msize(block) >= 1000);
  CHECK((block = sqlite3_realloc(block, 100000)) != NULL);
  sqlite3_free(block);
  CHECK(sqlite3_malloc(0x7ffffe00) == NULL);
  CHECK(sqlite3_close(database) == SQLITE_OK && sqlite3_shutdown() == SQLITE_OK);
  CHECK(live_blocks(world) == 0);
  CHECK(cow_sqlite_malloc(10) == NULL); /* no heap any more */
  cow_snapshot_release(snapshot);
  end_world(world);
}
#else
TEST(sqlite_goes_back_with_the_arena) { skip_test("built without SQLite (Debian: libsqlite3-dev)"); }
#endif

#ifdef HAVE_ZLIB
#include <zlib.h>

static size_t finish(z_stream* stream, unsigned char* out, size_t room) {
  stream->next_out = out;
  stream->avail_out = (unsigned)room;
  return deflate(stream, Z_FINISH) == Z_STREAM_END ? room - stream->avail_out : 0;
}

TEST(zlib_goes_back_with_the_arena_in_mid_stream) {
  struct world world = world_of();
  z_stream* stream = (z_stream*)cow_heap_calloc(world.heap, 1, sizeof *stream); /* its own state goes back too */
  static unsigned char in[100000], first[200000], second[200000];
  cow_snapshot* snapshot;
  size_t bytes, i;
  for (i = 0; i < sizeof in; ++i) in[i] = (unsigned char)(i * i >> 7);
  stream->zalloc = cow_zlib_alloc;
  stream->zfree = cow_zlib_free;
  stream->opaque = world.heap;
  CHECK(deflateInit(stream, 9) == Z_OK && live_blocks(world) > 2);
  stream->next_in = in;
  stream->avail_in = sizeof in;
  stream->next_out = first;
  stream->avail_out = 1000;
  CHECK(deflate(stream, Z_NO_FLUSH) == Z_OK);
  CHECK(cow_arena_snapshot(world.arena, &snapshot) == 0);
  CHECK((bytes = finish(stream, first, sizeof first)) > 1000);
  CHECK(deflateEnd(stream) == Z_OK && live_blocks(world) == 1);
  CHECK(cow_arena_rollback(world.arena, snapshot) == 0);
  CHECK(finish(stream, second, sizeof second) == bytes && memcmp(first, second, bytes) == 0);
  CHECK(deflateEnd(stream) == Z_OK && live_blocks(world) == 1);
  cow_snapshot_release(snapshot);
  end_world(world);
}
#else
TEST(zlib_goes_back_with_the_arena_in_mid_stream) { skip_test("built without zlib (Debian: zlib1g-dev)"); }
#endif

#ifdef HAVE_LUA
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static lua_Integer number_in(lua_State* lua, const char* expression) {
  lua_Integer number = -1;
  if (luaL_loadstring(lua, expression) == LUA_OK && lua_pcall(lua, 0, 1, 0) == LUA_OK) number = lua_tointeger(lua, -1);
  lua_settop(lua, 0);
  return number;
}

TEST(lua_goes_back_with_the_arena) {
  struct world world = world_of();
  lua_State* lua = lua_newstate(cow_lua_alloc, world.heap);
  cow_snapshot* snapshot;
  CHECK(lua != NULL && cow_arena_contains(world.arena, lua) == 1);
  luaL_openlibs(lua);
  CHECK(luaL_dostring(lua, "t = {} for i = 1, 10000 do t[i] = ('x'):rep(i % 50) end") == 0);
  CHECK(cow_arena_snapshot(world.arena, &snapshot) == 0);
  CHECK(luaL_dostring(lua, "for i = 1, 9000 do t[i] = nil end; collectgarbage(); t.new = {t}") == 0);
  CHECK(number_in(lua, "return t[9000] and 1 or 0") == 0);
  CHECK(cow_arena_rollback(world.arena, snapshot) == 0);
  CHECK(number_in(lua, "local sum = 0 for _, s in ipairs(t) do sum = sum + #s end return sum") == 245000);
  CHECK(number_in(lua, "return t.new and 1 or 0") == 0);
  CHECK(number_in(lua, "collectgarbage() return #t") == 10000);
  lua_close(lua);
  CHECK(live_blocks(world) == 0);
  cow_snapshot_release(snapshot);
  end_world(world);
}
#else
TEST(lua_goes_back_with_the_arena) { skip_test("built without Lua (Debian: liblua5.4-dev)"); }
#endif

#ifdef HAVE_LIBXML2
#include <libxml/parser.h>
#include <libxml/tree.h>

TEST(libxml2_goes_back_with_the_arena) {
  static const char text[] = "<list><item>one</item><item>two</item></list>";
  struct world world = world_of();
  cow_snapshot* snapshot;
  xmlDocPtr document;
  xmlNodePtr root;
  CHECK(cow_process_heap_set(world.heap) == 0);
  CHECK(xmlMemSetup(cow_process_free, cow_process_malloc, cow_process_realloc, cow_process_strdup) == 0);
  xmlInitParser();
  CHECK((document = xmlReadMemory(text, (int)sizeof text - 1, "a test", NULL, 0)) != NULL);
  root = xmlDocGetRootElement(document);
  CHECK(cow_arena_contains(world.arena, root) == 1 && xmlChildElementCount(root) == 2);
  CHECK(cow_arena_snapshot(world.arena, &snapshot) == 0);
  xmlUnlinkNode(root->children);
  CHECK(xmlNewTextChild(root, NULL, BAD_CAST "item", BAD_CAST "three") != NULL);
  CHECK(xmlNewTextChild(root, NULL, BAD_CAST "item", BAD_CAST "four") != NULL);
  CHECK(xmlChildElementCount(root) == 3);
  CHECK(cow_arena_rollback(world.arena, snapshot) == 0);
  CHECK(xmlChildElementCount(root) == 2 && strcmp((const char*)root->children->children->content, "one") == 0);
  xmlFreeDoc(document);
  xmlCleanupParser();
  CHECK(live_blocks(world) != UINT64_MAX && cow_heap_check(world.heap) == 0);
  CHECK(cow_process_heap_set(NULL) == 0);
  cow_snapshot_release(snapshot);
  /* The arena stays: the library may still hold a block in it. */
}
#else
TEST(libxml2_goes_back_with_the_arena) { skip_test("built without libxml2 (Debian: libxml2-dev)"); }
#endif

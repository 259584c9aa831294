/* Tests in C: TEST(name) { CHECK(...); } registers itself; a check that fails says where and ends the test. */
#ifndef COW_TESTS_CAPI_CHECK_H
#define COW_TESTS_CAPI_CHECK_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cow/cow.h>

void register_test(const char* name, void (*run)(void));
void check_failed(const char* file, int line, const char* what);
void skip_test(const char* why);

#define TEST(name)                                                       \
  static void name(void);                                                \
  __attribute__((constructor)) static void register_##name(void) {       \
    register_test(#name, name);                                          \
  }                                                                      \
  static void name(void)

#define CHECK(holds)                                  \
  do {                                                \
    if (!(holds)) {                                   \
      check_failed(__FILE__, __LINE__, #holds);       \
      return;                                         \
    }                                                 \
  } while (0)

/* The call gives this negative errno, and the text names the call and says why. */
#define CHECK_FAILS(call, code, says)                                        \
  do {                                                                       \
    const int given_ = (call);                                               \
    if (given_ != -(code) || strstr(cow_last_error(), (says)) == NULL) {     \
      fprintf(stderr, "gave %d: %s\n", given_, cow_last_error());            \
      check_failed(__FILE__, __LINE__, #call " fails with " #code);          \
      return;                                                                \
    }                                                                        \
  } while (0)

/* What stands for a heap, an arena or a snapshot that is none. */
#define NO_HANDLE(type) ((type*)(uintptr_t)0x12345678)

/* An arena of `pages` pages; NULL and a failed check if there is none. */
static inline cow_arena* arena_of(size_t pages) {
  cow_arena_options options;
  cow_arena* arena = NULL;
  cow_arena_options_init(&options);
  options.capacity = pages * cow_page_size();
  options.name = "of a C test";
  if (cow_arena_open(&options, &arena) != 0) check_failed(__FILE__, __LINE__, cow_last_error());
  return arena;
}

static inline unsigned char* bytes_of(const cow_arena* arena) { return (unsigned char*)cow_arena_data(arena); }

static inline int all_are(const void* memory, size_t n, unsigned char value) {
  const unsigned char* at = (const unsigned char*)memory;
  size_t i;
  for (i = 0; i < n; ++i) {
    if (at[i] != value) return 0;
  }
  return 1;
}

#endif

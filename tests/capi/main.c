/* Runs the tests named, or all. Gives 77 where the only one was skipped. */
#include "capi/check.h"

static struct {
  const char* name;
  void (*run)(void);
} tests[200];
static int count, failures, skipped;

void register_test(const char* name, void (*run)(void)) {
  tests[count].name = name;
  tests[count++].run = run;
}

void check_failed(const char* file, int line, const char* what) {
  ++failures;
  fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
}

void skip_test(const char* why) {
  ++skipped;
  printf("skipped: %s\n", why);
}

int main(int argc, char** argv) {
  int ran = 0, i, j;
  for (i = 0; i < count; ++i) {
    int wanted = argc == 1;
    for (j = 1; j < argc; ++j) wanted |= strcmp(argv[j], tests[i].name) == 0;
    if (!wanted) continue;
    ++ran;
    printf("%s\n", tests[i].name);
    tests[i].run();
  }
  if (ran == 0) {
    fprintf(stderr, "no such test\n");
    return 2;
  }
  return failures != 0 ? 1 : skipped == ran ? 77 : 0;
}

/* A stranger's program in C: it links and the library does what it is for. */
#include <cow/cow.h>

#include <stdio.h>
#include <string.h>

int main(void) {
  cow_arena* arena;
  cow_heap* heap;
  cow_snapshot* snapshot;
  char* text;
  int right;
  if (cow_arena_open(NULL, &arena) != 0 || cow_heap_open(arena, NULL, &heap) != 0) return puts(cow_last_error()), 1;
  text = cow_heap_strdup(heap, "then");
  if (cow_arena_snapshot(arena, &snapshot) != 0) return puts(cow_last_error()), 1;
  strcpy(text, "now");
  if (cow_arena_rollback(arena, snapshot) != 0) return puts(cow_last_error()), 1;
  right = strcmp(text, "then") == 0 && cow_arena_rollback(NULL, snapshot) < 0;
  cow_snapshot_release(snapshot);
  cow_heap_close(heap);
  cow_arena_close(arena);
  printf("cow %s %s here\n", cow_version(), right ? "works" : "is broken");
  return right ? 0 : 1;
}

// Linkage over units: weak and strong, aliases, hidden names, COMMON, section ranges, order of constructors.
// run:
// gcc: -fcommon
// clang: -fcommon
#include <stdio.h>
#include "shared.h"

int common_one, common_array[10];
extern int strong_wins(void);
__attribute__((weak)) int strong_wins(void) { return 1; }
__attribute__((weak)) extern int nobody(void);
__attribute__((weak)) extern int nothing;
__attribute__((weak)) int weak_data = 3;
static int local = 100;
int *address_of_local(void) { return &local; }
static int same_name(void) { return 1; }

ITEM(alpha, 1)
ITEM(beta, 2)
__attribute__((constructor(300))) static void c300(void) { puts("main 300"); }
__attribute__((constructor)) static void c(void) { puts("main last"); }
__attribute__((constructor(200))) static void c200(void) { puts("main 200"); }
__attribute__((destructor(200))) static void d200(void) { puts("~main 200"); }
__attribute__((destructor)) static void d(void) { puts("~main"); }

int main(void) {
  printf("%d %d %d %d\n", strong_wins(), nobody == 0, &nothing == 0, weak_data);
  common_array[9] = 4;
  set_common(5);
  printf("%d %d\n", common_one, common_array[9]);
  printf("%d %d %d\n", alias_of_three(), three(), alias_of_three == three);
  printf("%d %d\n", same_name(), other_same_name());
  int sum = 0, count = 0;
  for (const struct item *item = __start_items; item < __stop_items; item++) { sum += item->value; count++; }
  printf("%d items, %d\n", count, sum);
  printf("%d %s %s\n", *address_of_local(), table[0].name, table[table_size - 1].name);
  for (int i = 0; i < table_size; i++) printf("%d ", table[i].function(i + 1));
  printf("\n%d\n", table[1].function == pick(1));
  return hidden_through() & 0x7f;
}

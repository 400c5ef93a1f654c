#include <stdio.h>
#include "shared.h"

int common_one, common_array[20];
int weak_data = 30;
int strong_wins(void) { return 2; }
int three(void) { return 3; }
int alias_of_three(void) __attribute__((alias("three")));
static int same_name(void) { return 2; }
int other_same_name(void) { return same_name(); }
void set_common(int value) { common_one = value; common_array[19] = value; }
__attribute__((visibility("hidden"))) int hidden(void);
int hidden_through(void) { return hidden(); }
ITEM(gamma, 40)

static int twice(int x) { return x * 2; }
static int square(int x) { return x * x; }
static int negate(int x) { return -x; }
const struct entry table[] = {{"twice", twice}, {"square", square}, {"negate", negate}};
const int table_size = sizeof table / sizeof *table;
int (*pick(int which))(int) { return table[which].function; }
__attribute__((constructor(200))) static void c200(void) { puts("other 200"); }
__attribute__((constructor)) static void c(void) { puts("other last"); }
__attribute__((destructor(300))) static void d300(void) { puts("~other 300"); }

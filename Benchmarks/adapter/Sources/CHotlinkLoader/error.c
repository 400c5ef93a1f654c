// The last error of each thread. Not initial-exec: the library may be opened late.
#include "hotlink_loader.h"
#include <stdlib.h>
#include <string.h>

void hotlink_set_error(const char *text);

static __thread char *last;

void hotlink_set_error(const char *text) {
  free(last);
  last = strdup(text);
}

const char *hotlink_error(void) { return last ? last : ""; }

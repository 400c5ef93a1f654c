#include "shared.h"

__attribute__((visibility("hidden"))) int hidden(void) { return 77; }
ITEM(delta, 500)
__attribute__((visibility("protected"))) int guarded = 6;

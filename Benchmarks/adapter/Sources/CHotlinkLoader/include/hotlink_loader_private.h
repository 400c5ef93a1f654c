// What the Swift half of the adapter asks of the C half.
#ifndef HOTLINK_LOADER_PRIVATE_H
#define HOTLINK_LOADER_PRIVATE_H
void hotlink_set_error(const char *text);
#endif

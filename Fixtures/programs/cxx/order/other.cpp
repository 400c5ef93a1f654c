#include "loud.h"

inline Loud shared_inline("inline");
static Loud plain_one("other plain");
Loud other_early __attribute__((init_priority(250)))("other 250");
static int computed = [] { std::printf("computing\n"); return 12; }();
int value_of_other() { return computed; }
Loud &function_static() { static Loud only("function static"); return only; }
namespace { thread_local Loud mine("other thread_local"); thread_local int plain_local = 3; }
void touch_thread_local() { mine.say(); std::cout << ++plain_local << '\n'; }
__attribute__((constructor(210))) static void constructor() { std::printf("constructor 210\n"); }
__attribute__((destructor)) static void destructor() { std::printf("destructor\n"); }

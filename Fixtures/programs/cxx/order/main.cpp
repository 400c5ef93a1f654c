// When things begin and end: statics over units and priorities, function statics, thread_local objects, exit handlers.
// run:
// run: exit
// run: throw
// run: quick
// flags: -std=c++17
// link: -pthread
#include <cstdlib>
#include <cstring>
#include <thread>
#include "loud.h"

Loud plain("main plain");
Loud early __attribute__((init_priority(300)))("main 300");
Loud earliest __attribute__((init_priority(200)))("main 200");
static int from_other = value_of_other();
thread_local Loud local("main thread_local");
template <int N> struct Instance { static Loud loud; };
template <int N> Loud Instance<N>::loud("instance");
template struct Instance<3>;
inline Loud shared_inline("inline");

static void handler() { std::cout << "handler\n"; }

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  std::cout << "main " << from_other << '\n';
  std::atexit(handler);
  function_static().say();
  touch_thread_local();
  std::thread([] { touch_thread_local(); local.say(); function_static().say(); }).join();
  local.say();
  std::atexit([] { Loud late("in a handler"); function_static().say(); });
  if (!std::strcmp(mode, "exit")) { Loud never("not destroyed by exit"); std::exit(3); }
  if (!std::strcmp(mode, "quick")) { std::cout.flush(); std::quick_exit(4); }
  if (!std::strcmp(mode, "throw")) {
    try { Loud scoped("scoped"); throw 1; } catch (int) { std::cout << "caught\n"; }
  }
  return 0;
}

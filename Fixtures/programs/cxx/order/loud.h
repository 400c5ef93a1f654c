#include <cstdio>
#include <iostream>
#include <string>
struct Loud {
  std::string name;
  explicit Loud(const char *n) : name(n) { std::printf("+%s\n", n); }
  ~Loud() { std::printf("-%s\n", name.c_str()); }
  void say() const { std::cout << '=' << name << '\n'; }
};
int value_of_other();
Loud &function_static();
void touch_thread_local();

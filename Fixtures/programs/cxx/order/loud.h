#include <iostream>
#include <string>
struct Loud {
  std::string name;
  explicit Loud(const char *n) : name(n) { std::cout << '+' << name << '\n'; }
  ~Loud() { std::cout << '-' << name << std::endl; }
  void say() const { std::cout << '=' << name << '\n'; }
};
int value_of_other();
Loud &function_static();
void touch_thread_local();

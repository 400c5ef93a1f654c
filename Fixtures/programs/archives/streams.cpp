// The C++ library from its archive, beside the shared one that the runner uses: streams, locales, exceptions, threads.
// run:
// input: 3 text\n
// flags: -std=c++17
// archives: libstdc++.a
// link: -static-libstdc++ -pthread
#include <fstream>
#include <future>
#include <iomanip>
#include <iostream>
#include <locale>
#include <map>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <typeinfo>
#include <vector>

struct Own : std::runtime_error { using std::runtime_error::runtime_error; };
thread_local std::string mine = "fresh";
struct punct : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};
static int thrown(int kind) {
  switch (kind) {
  case 0: throw Own("own");
  case 1: return std::stoi("x");
  case 2: return std::vector<int>().at(1);
  case 3: { std::ifstream in("/nowhere"); in.exceptions(std::ios::failbit); return in.get(); }
  case 4: { std::any_of((int *)nullptr, (int *)nullptr, [](int) { return true; }); throw 5; }
  default: return (int)std::regex_match("abc", std::regex("a(b|c)*"));
  }
}
int main() {
  int number;
  std::string word;
  std::cin >> number >> word;
  std::cout << number << ' ' << std::quoted(word) << ' ' << std::setw(8) << std::setfill('*') << std::hex << 255 << std::dec << '\n';
  for (int kind = 0; kind < 6; kind++) {
    try { std::cout << thrown(kind) << '\n'; }
    catch (const Own &e) { std::cout << e.what() << ' ' << typeid(e).name() << '\n'; }
    catch (const std::ios_base::failure &e) { std::cout << "stream " << e.code().value() << '\n'; }
    catch (const std::logic_error &e) { std::cout << "logic " << e.what() << '\n'; }
    catch (int value) { std::cout << value << '\n'; }
  }
  std::ostringstream out;
  out.imbue(std::locale(std::locale::classic(), new punct));
  out << std::fixed << std::setprecision(2) << 1234567.891;
  std::cout << out.str() << '\n';
  std::thread([] { mine += " in a thread"; std::cout << mine << '\n'; }).join();
  auto failing = std::async(std::launch::async, []() -> int { throw Own("from a thread"); });
  try { failing.get(); } catch (const std::exception &e) { std::cout << e.what() << ' ' << (dynamic_cast<const Own *>(&e) != nullptr) << '\n'; }
  std::map<std::string, int> counts;
  std::istringstream text("the cat and the dog and the bird");
  while (text >> word) counts[word]++;
  for (const auto &[name, count] : counts) std::cout << name << count << ' ';
  std::cout << mine << std::endl;
  std::cerr << "on the error stream\n";
  return number + 40;
}

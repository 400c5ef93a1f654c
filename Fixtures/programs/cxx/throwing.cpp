// Exceptions: within a unit, through the C++ library and C callbacks and back, rethrown, nested, between threads,
// and the ones that nobody catches.
// run:
// run: uncaught
// run: foreign
// run: noexcept
// run: thread
// run: handler
// run: destructor
// flags: -std=c++17
// link: -pthread
#include <algorithm>
#include <any>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <typeinfo>
#include <variant>
#include <vector>

struct Guard {
  std::string name;
  explicit Guard(std::string n) : name(std::move(n)) {}
  ~Guard() { std::printf("~%s%s\n", name.c_str(), std::uncaught_exceptions() ? " unwinding" : ""); }
};

struct Base { virtual ~Base() = default; virtual const char *what() const { return "base"; } };
struct Left : virtual Base { int left = 1; };
struct Right : virtual Base { int right = 2; const char *what() const override { return "right"; } };
struct Both : Left, Right { std::string text = "both"; };

[[gnu::noinline]] static int recurse(int depth) {
  Guard guard("depth " + std::to_string(depth));
  if (depth == 0) throw Both();
  return recurse(depth - 1) + depth;
}

template <typename F> static void attempt(const char *name, F &&body) {
  try {
    body();
    std::printf("%s: nothing\n", name);
  } catch (const std::system_error &e) {
    std::printf("%s: system %d\n", name, e.code().value());
  } catch (const std::exception &e) {
    std::printf("%s: %s (%s)\n", name, e.what(), typeid(e).name());
  } catch (...) {
    std::printf("%s: unknown\n", name);
  }
}

static void unwrap(const std::exception &e, int level = 0) {
  std::printf("%*s%s\n", level * 2, "", e.what());
  try { std::rethrow_if_nested(e); } catch (const std::exception &inner) { unwrap(inner, level + 1); }
}

static int compare(const void *a, const void *b) {
  if (*static_cast<const int *>(a) == 7) throw std::string("thrown through qsort");
  return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

struct Shaky {
  int number;
  Shaky() : number(made++) { if (number == 3) throw number; }
  ~Shaky() { std::printf("~Shaky %d\n", number); }
  static inline int made = 0;
};

static int guarded() try { throw 5; } catch (int value) { return value + 1; }
static void promises() noexcept { throw std::logic_error("out of noexcept"); }
struct Last { ~Last() { std::puts("static destroyed"); } } last;

int main(int argc, char **argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  const char *mode = argc > 1 ? argv[1] : "";
  if (!std::strcmp(mode, "uncaught")) { Guard guard("main"); throw std::runtime_error("nobody catches this"); }
  if (!std::strcmp(mode, "foreign")) throw Both();
  if (!std::strcmp(mode, "noexcept")) promises();
  if (!std::strcmp(mode, "thread")) { std::thread t([] { throw 1; }); t.join(); }
  if (!std::strcmp(mode, "handler")) {
    std::set_terminate([] { std::puts("own handler"); std::exit(9); });
    throw 1;
  }
  if (!std::strcmp(mode, "destructor")) {
    struct Bad { ~Bad() noexcept(false) { throw 2; } };
    try { Bad bad; throw 1; } catch (...) {}
  }

  try { recurse(3); } catch (const Right &r) { std::printf("%s %d\n", r.what(), r.right); }
  try { recurse(1); } catch (Base &b) { std::printf("%s %s\n", b.what(), dynamic_cast<Both &>(b).text.c_str()); }
  try { throw new Both; } catch (Left *l) { std::printf("pointer %d\n", l->left); delete l; }

  attempt("at", [] { std::vector<int>(3).at(5); });
  attempt("stoi", [] { (void)std::stoi("none"); });
  attempt("substr", [] { (void)std::string("abc").substr(9); });
  attempt("regex", [] { std::regex broken("(["); });
  attempt("any", [] { (void)std::any_cast<int>(std::any(std::string("text"))); });
  attempt("variant", [] { std::variant<int, std::string> v = 1; (void)std::get<std::string>(v); });
  attempt("optional", [] { (void)std::optional<int>().value(); });
  attempt("function", [] { std::function<void()>()(); });
  attempt("cast", [] { Base plain; (void)dynamic_cast<Both &>(plain); });
  attempt("typeid", [] { Base *none = nullptr; std::puts(typeid(*none).name()); });
  attempt("new", [] { (void)!std::make_unique<char[]>(std::size_t(-1) / 4); });
  attempt("filesystem", [] { std::filesystem::file_size("/nowhere/at/all"); });
  attempt("weak", [] { std::shared_ptr<int>(std::weak_ptr<int>()); });
  attempt("sort", [] {
    std::vector<int> v{3, 1, 2};
    std::sort(v.begin(), v.end(), [](int a, int b) -> bool { if (a + b == 3) throw std::domain_error("sorting"); return a < b; });
  });
  attempt("locale", [] { std::locale("no_SUCH.locale"); });
  attempt("future", [] {
    std::promise<int> promise;
    auto future = promise.get_future();
    std::thread([&] { try { throw std::range_error("from a thread"); } catch (...) { promise.set_exception(std::current_exception()); } }).join();
    future.get();
  });
  attempt("async", [] { std::async(std::launch::async, []() -> int { throw std::overflow_error("async"); }).get(); });
  attempt("nested", [] {
    try { try { throw std::runtime_error("innermost"); } catch (...) { std::throw_with_nested(std::logic_error("middle")); } }
    catch (...) { std::throw_with_nested(std::invalid_argument("outer")); }
  });
  try {
    try { throw std::runtime_error("cause"); } catch (...) { std::throw_with_nested(std::logic_error("effect")); }
  } catch (const std::exception &e) { unwrap(e); }

  int values[] = {3, 7, 1, 5};
  try { std::qsort(values, 4, sizeof(int), compare); } catch (const std::string &text) { std::puts(text.c_str()); }
  try { Shaky several[5]; (void)several; } catch (int number) { std::printf("stopped at %d\n", number); }
  std::exception_ptr kept;
  try { throw Both(); } catch (...) { kept = std::current_exception(); }
  for (int i = 0; i < 3; i++) { try { std::rethrow_exception(kept); } catch (const Both &b) { std::printf("%s again\n", b.text.c_str()); } }
  std::map<std::string, int> caught;
  for (int i = 0; i < 3000; i++) {
    try { if (i % 3 == 0) throw i; if (i % 3 == 1) throw std::to_string(i); throw double(i); }
    catch (int) { caught["int"]++; } catch (const std::string &) { caught["string"]++; } catch (double) { caught["double"]++; }
  }
  std::printf("%d %d %d\n", caught["int"], caught["string"], caught["double"]);
  return guarded();
}

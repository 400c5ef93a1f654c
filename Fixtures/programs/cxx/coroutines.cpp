// Coroutines: generators, tasks that await each other, exceptions that leave and enter them, frames destroyed early.
// run:
// flags: -std=c++20
// gcc: -fcoroutines
#include <coroutine>
#include <cstdio>
#include <deque>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

struct Noise {
  const char *name;
  explicit Noise(const char *n) : name(n) { std::printf("+%s\n", name); }
  ~Noise() { std::printf("-%s\n", name); }
};

template <typename T> struct Generator {
  struct promise_type {
    std::optional<T> value;
    std::exception_ptr failure;
    Generator get_return_object() { return Generator{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(T v) { value = std::move(v); return {}; }
    void return_void() {}
    void unhandled_exception() { failure = std::current_exception(); }
  };
  std::coroutine_handle<promise_type> handle;
  explicit Generator(std::coroutine_handle<promise_type> h) : handle(h) {}
  Generator(Generator &&other) noexcept : handle(std::exchange(other.handle, {})) {}
  ~Generator() { if (handle) handle.destroy(); }
  std::optional<T> next() {
    handle.promise().value.reset();
    handle.resume();
    if (handle.promise().failure) std::rethrow_exception(std::exchange(handle.promise().failure, nullptr));
    return handle.promise().value;
  }
};

static std::deque<std::coroutine_handle<>> ready;
template <typename T> struct Task {
  struct promise_type {
    T value{};
    std::exception_ptr failure;
    std::coroutine_handle<> waiter;
    Task get_return_object() { return Task{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    struct Final {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> h) noexcept {
        return h.promise().waiter ? h.promise().waiter : std::noop_coroutine();
      }
      void await_resume() noexcept {}
    };
    Final final_suspend() noexcept { return {}; }
    void return_value(T v) { value = v; }
    void unhandled_exception() { failure = std::current_exception(); }
  };
  std::coroutine_handle<promise_type> handle;
  explicit Task(std::coroutine_handle<promise_type> h) : handle(h) {}
  Task(Task &&other) noexcept : handle(std::exchange(other.handle, {})) {}
  ~Task() { if (handle) handle.destroy(); }
  bool await_ready() const { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) { handle.promise().waiter = waiter; return handle; }
  T await_resume() {
    if (handle.promise().failure) std::rethrow_exception(handle.promise().failure);
    return handle.promise().value;
  }
};
struct Later {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) { ready.push_back(h); }
  void await_resume() const noexcept {}
};

Generator<int> count(int from, int to) {
  Noise noise("counting");
  for (int i = from; i < to; i++) co_yield i;
}
Generator<std::string> words(int limit) {
  auto numbers = count(0, 100);
  while (auto number = numbers.next()) {
    if (*number == limit) throw std::runtime_error("limit " + std::to_string(limit));
    co_yield std::string(*number, '*');
  }
}
Task<int> leaf(int n) {
  Noise noise("leaf");
  co_await Later{};
  if (n == 13) throw std::invalid_argument("thirteen");
  co_return n * n;
}
Task<int> tree(int depth) {
  if (depth == 0) co_return co_await leaf(2);
  int left = co_await tree(depth - 1);
  co_await Later{};
  co_return left + co_await leaf(depth);
}
Task<int> guarded() {
  try { co_return co_await leaf(13); } catch (const std::exception &e) { std::printf("caught %s\n", e.what()); }
  co_return -1;
}
template <typename T> T run(Task<T> task) {
  ready.push_back(task.handle);
  while (!ready.empty()) { auto h = ready.front(); ready.pop_front(); h.resume(); }
  return task.await_resume();
}

int main() {
  { auto numbers = count(3, 6); while (auto n = numbers.next()) std::printf("%d\n", *n); }
  { auto abandoned = count(0, 1000000); abandoned.next(); std::puts("abandoned"); }
  try { auto list = words(3); while (auto word = list.next()) std::printf("'%s'\n", word->c_str()); }
  catch (const std::runtime_error &e) { std::puts(e.what()); }
  std::printf("%d\n", run(tree(3)));
  std::printf("%d\n", run(guarded()));
  try { run(leaf(13)); } catch (const std::invalid_argument &e) { std::printf("out: %s\n", e.what()); }
  return 0;
}

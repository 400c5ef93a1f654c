// Threads of C++: call_once, futures, conditions, thread_local objects, atomics, jthread and its stop, semaphores.
// run:
// flags: -std=c++20
// link: -pthread
#include <atomic>
#include <barrier>
#include <condition_variable>
#include <deque>
#include <future>
#include <iostream>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

static std::mutex lock;
static std::atomic<int> ended{0};
struct PerThread {
  std::string name = "fresh";
  int uses = 0;
  ~PerThread() { ended += uses; }
};
thread_local PerThread mine;
static thread_local std::vector<int> list(3, 1);

int main() {
  std::once_flag once;
  std::atomic<int> calls{0}, failures{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; i++)
    threads.emplace_back([&, i] {
      try { std::call_once(once, [&] { if (++calls < 3) throw std::runtime_error("not yet"); }); }
      catch (const std::runtime_error &) { failures++; }
      for (int n = 0; n <= i; n++) { mine.uses++; list.push_back(n); }
      std::lock_guard guard(lock);
      mine.name += std::to_string(list.size());
    });
  for (auto &thread : threads) thread.join();
  std::cout << calls << ' ' << failures << ' ' << ended << ' ' << mine.name << ' ' << list.size() << '\n';

  std::packaged_task<int(int)> task([](int x) { return x * x; });
  auto result = task.get_future();
  std::thread(std::move(task), 12).join();
  std::promise<std::string> promise;
  auto shared = promise.get_future().share();
  auto reader = std::async(std::launch::async, [shared] { return shared.get().size(); });
  promise.set_value("delivered");
  std::cout << result.get() << ' ' << reader.get() << ' ' << std::async(std::launch::deferred, [] { return 3; }).get() << '\n';

  std::deque<int> queue;
  std::condition_variable_any ready;
  long sum = 0;
  {
    std::jthread consumer([&](std::stop_token stop) {
      std::unique_lock guard(lock);
      while (ready.wait(guard, stop, [&] { return !queue.empty(); })) { sum += queue.front(); queue.pop_front(); ready.notify_all(); }
    });
    for (int i = 1; i <= 100; i++) { std::lock_guard guard(lock); queue.push_back(i); ready.notify_all(); }
    std::unique_lock guard(lock);
    ready.wait(guard, [&] { return queue.empty(); });
  }
  std::cout << sum << '\n';

  std::latch latch(4);
  std::counting_semaphore<2> semaphore(2);
  std::atomic<int> inside{0}, most{0};
  std::barrier meeting(4, []() noexcept { std::cout << "all met\n"; });
  std::shared_mutex table;
  int writes = 0;
  {
    std::vector<std::jthread> group;
    for (int i = 0; i < 4; i++)
      group.emplace_back([&] {
        semaphore.acquire();
        int now = ++inside;
        for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {}
        inside--;
        semaphore.release();
        latch.count_down();
        meeting.arrive_and_wait();
        std::unique_lock guard(table);
        writes++;
      });
    latch.wait();
  }
  std::atomic<int> word{0};
  std::jthread waker([&] { word = 1; word.notify_one(); });
  word.wait(0);
  std::shared_lock guard(table);
  std::cout << (most <= 2) << ' ' << writes << ' ' << word << '\n';
  return calls;
}

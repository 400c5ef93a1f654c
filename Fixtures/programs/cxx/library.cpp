// The C++ library at work: containers, algorithms, regex, filesystem, streams from standard input, formatting, time.
// run: /tmp
// input: 12 apples\n7 pears\nend of it\n
// flags: -std=c++17
#include <algorithm>
#include <array>
#include <bitset>
#include <charconv>
#include <chrono>
#include <complex>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <list>
#include <locale>
#include <map>
#include <memory>
#include <memory_resource>
#include <numeric>
#include <queue>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <unistd.h>
#include <unordered_map>
#include <variant>
#include <vector>

template <class... Ts> struct overloaded : Ts... { using Ts::operator()...; };
template <class... Ts> overloaded(Ts...) -> overloaded<Ts...>;

int main(int argc, char **argv) {
  std::map<std::string, int> stock;
  int count;
  std::string what;
  while (std::cin >> count >> what) stock[what] = count;
  std::cin.clear();
  std::getline(std::cin, what);
  std::cout << "rest '" << what << "'\n";
  for (const auto &[name, number] : stock) std::cout << std::setw(10) << std::left << name << std::hex << std::showbase << number << std::dec << '\n';
  std::ostringstream out;
  out << std::fixed << std::setprecision(3) << 3.14159 << ' ' << std::scientific << 12345.678 << ' ' << std::boolalpha << true;
  std::cout << out.str() << ' ' << std::complex<double>(1, -2) << ' ' << std::bitset<10>(37) << '\n';

  std::mt19937 engine(42);
  std::vector<int> values(1000);
  std::generate(values.begin(), values.end(), [&] { return int(engine() % 1000); });
  std::sort(values.begin(), values.end(), std::greater<>());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  std::cout << values.size() << ' ' << values.front() << ' ' << std::accumulate(values.begin(), values.end(), 0L) << '\n';
  std::unordered_map<std::string, std::vector<int>> index;
  for (int value : values) index["k" + std::to_string(value % 17)].push_back(value);
  std::cout << index.size() << ' ' << index["k3"].size() << '\n';
  std::priority_queue<std::pair<int, std::string>> queue;
  for (auto word : {"one", "three", "seventeen"}) queue.emplace(std::string(word).size(), word);
  std::cout << queue.top().second << '\n';

  std::regex pattern(R"((\w+)@(\w+)\.(com|org))");
  std::string mail = "write to ann@home.org or bob@work.com today";
  for (std::sregex_iterator it(mail.begin(), mail.end(), pattern), none; it != none; ++it) std::cout << (*it)[1] << " at " << (*it)[2] << '\n';
  std::cout << std::regex_replace(mail, pattern, "[$2]") << '\n';

  std::vector<std::function<int(int)>> steps;
  for (int i = 1; i < 4; i++) steps.push_back([i, text = std::string(i, 'x')](int x) { return x * i + int(text.size()); });
  std::cout << std::accumulate(steps.begin(), steps.end(), 1, [](int x, auto &step) { return step(x); }) << '\n';
  std::variant<int, std::string, double> variants[] = {1, "text", 2.5};
  for (const auto &v : variants)
    std::visit(overloaded{[](int i) { std::cout << "int " << i; }, [](const std::string &s) { std::cout << " string " << s; }, [](double d) { std::cout << " double " << d << '\n'; }}, v);

  namespace fs = std::filesystem;
  fs::path folder = fs::path(argv[1]) / ("hotlink-library-" + std::to_string(getpid()));
  fs::create_directories(folder / "a" / "b");
  std::ofstream(folder / "a" / "file.txt") << "some text\n" << 42 << '\n';
  std::set<std::string> found;
  for (const auto &entry : fs::recursive_directory_iterator(folder)) found.insert(fs::relative(entry.path(), folder).string());
  for (const auto &name : found) std::cout << name << ' ';
  std::ifstream in(folder / "a" / "file.txt");
  std::cout << fs::file_size(folder / "a" / "file.txt") << ' ' << std::string(std::istreambuf_iterator<char>(in), {}).substr(0, 4) << ' ' << fs::remove_all(folder) << '\n';

  double parsed = 0;
  std::string_view digits = "2.75e2 rest";
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed);
  std::cout << parsed << ' ' << (end - digits.data()) << ' ' << (error == std::errc()) << '\n';
  std::byte buffer[1024];
  std::pmr::monotonic_buffer_resource pool(buffer, sizeof buffer);
  std::pmr::list<std::pmr::string> pooled(&pool);
  for (int i = 0; i < 5; i++) pooled.emplace_back("an entry in the pool");
  std::cout << pooled.size() << ' ' << (std::chrono::hours(25) + std::chrono::minutes(1)).count() << '\n';
  std::time_t moment = 86400 * 365;
  std::cout << std::put_time(std::gmtime(&moment), "%Y-%m-%d") << ' ' << std::use_facet<std::numpunct<char>>(std::locale()).decimal_point() << '\n';
  std::cerr << "on the error stream\n";
  std::wcerr << L"wide" << std::endl;
  return argc;
}

// Containers whose nodes are known by a base class only, and others that forget the type of what they hold: a changed element is seen all the
// same.
import Testing

@Suite("Containers that do not say what they hold")
struct ErasedContentScenarios {
  struct Container: CustomTestStringConvertible, Sendable {
    var name: String
    var header: String
    var variable: String
    var use: String
    var testDescription: String { name }

    func source(_ members: String, _ version: Int) -> String {
      """
      #include <\(header)>
      #include <string>
      #include <vector>
      extern "C" int dprintf(int, const char *, ...);
      struct item { \(members) };
      bool operator<(const item &a, const item &b) { return a.hp < b.hp; }
      \(variable);
      int frames;
      extern "C" void tick() {
        frames++;
        int hp = 0;
        \(use)
        dprintf(1, "v=\(version) frames=%d hp=%d\\n", frames, hp);
      }
      """
    }
  }

  private static let tree = Container(
    name: "map", header: "map", variable: "std::map<std::string, item> items",
    use: "if (items.empty()) items[\"a\"].hp = 7; hp = items[\"a\"].hp;")
  private static let all = [
    tree,
    Container(
      name: "vectors in a map", header: "map", variable: "std::map<int, std::vector<item>> items",
      use: "if (items.empty()) { items[1].resize(2); items[1][1].hp = 7; } hp = items[1][1].hp;"),
    Container(
      name: "set", header: "set", variable: "std::set<item> items",
      use:
        "if (items.empty()) { item one{}; one.hp = 7; items.insert(one); } hp = items.begin()->hp;"),
    Container(
      name: "list", header: "list", variable: "std::list<item> items",
      use: "if (items.empty()) { items.resize(1); items.front().hp = 7; } hp = items.front().hp;"),
    Container(
      name: "forward_list", header: "forward_list", variable: "std::forward_list<item> items",
      use: "if (items.empty()) { items.resize(1); items.front().hp = 7; } hp = items.front().hp;"),
    Container(
      name: "unordered_map", header: "unordered_map",
      variable: "std::unordered_map<int, item> items",
      use: "if (items.empty()) items[3].hp = 7; hp = items[3].hp;"),
    Container(
      name: "any", header: "any", variable: "std::any one",
      use: "if (!one.has_value()) { item first{}; first.hp = 7; one = first; } "
        + "hp = std::any_cast<item &>(one).hp;"),
  ]

  private static func refuses(_ container: Container, _ toolchain: Toolchain) throws {
    let game = try WatchHarness(["game.cpp": container.source("int hp;", 1)], toolchain, hz: 1000)
    #expect(try game.line()["hp"] == "7")
    let refusal = try game.editRefused("game.cpp", container.source("int mana; int hp;", 2))
    #expect(refusal.reason?.contains("mana is new") == true, "\(refusal.reason ?? "")")
    #expect(refusal.layouts.isEmpty == false)
    let frames = try #require(try game.line().number("frames"))
    #expect(try game.line(where: { $0.number("frames") == frames + 100 })["hp"] == "7")
    // What is no change of the element passes.
    try game.edit(
      "game.cpp", container.source("int hp; int twice() const { return 2 * hp; }", 3))
    #expect(try game.line()["hp"] == "7")
    try game.stop()
  }

  @Test("An element gets a member", arguments: all, [Toolchain.gccDebug])
  func gcc(_ container: Container, _ toolchain: Toolchain) throws {
    try Self.refuses(container, toolchain)
  }

  @Test("An element gets a member: optimised, clang", arguments: [all[0], all[5], all[6]])
  func clang(_ container: Container) throws {
    try Self.refuses(container, .clangO2Sections.with("-g"))
  }

  @Test("--heap-layout=warn accepts it")
  func accepted() throws {
    let game = try WatchHarness(
      ["game.cpp": Self.tree.source("int hp;", 1)], .gccDebug, arguments: ["--heap-layout=warn"])
    #expect(try game.line()["hp"] == "7")
    try game.edit("game.cpp", Self.tree.source("int hp; int mana;", 2))
    #expect(try game.line()["v"] == "2")
    try game.stop()
  }

  @Test("A template argument that only names something is none")
  func tag() throws {
    func source(_ members: String, _ version: Int) -> String {
      """
      extern "C" int dprintf(int, const char *, ...);
      struct item { \(members) };
      template <class Of> struct id { int number; };
      id<item> kept = { 7 };
      extern "C" void tick() { dprintf(1, "v=\(version) id=%d\\n", kept.number); }
      """
    }
    let game = try WatchHarness(["game.cpp": source("int hp;", 1)], .gccDebug)
    try game.line()
    try game.edit("game.cpp", source("int mana; int hp;", 2))
    #expect(try game.line().text == "v=2 id=7")
    try game.stop()
  }

  @Test(
    "What a suspended coroutine promises", arguments: [Toolchain.gccDebug, .clangO2.with("-g")])
  func promise(_ toolchain: Toolchain) throws {
    func source(_ members: String, _ step: String) -> String {
      """
      #include <coroutine>
      extern "C" int dprintf(int, const char *, ...);
      struct numbers {
        struct promise_type {
          \(members)
          numbers get_return_object() {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
          }
          std::suspend_always initial_suspend() { return {}; }
          std::suspend_always final_suspend() noexcept { return {}; }
          std::suspend_always yield_value(int x) { value = x; return {}; }
          void return_void() {}
          void unhandled_exception() {}
        };
        std::coroutine_handle<promise_type> handle;
      };
      numbers count() { for (int i = 1;; i++) co_yield i \(step); }
      numbers kept;
      int frames;
      extern "C" void tick() {
        frames++;
        if (!kept.handle) kept = count();
        kept.handle.resume();
        dprintf(1, "frames=%d n=%d\\n", frames, kept.handle.promise().value);
      }
      """
    }
    let game = try WatchHarness(
      ["game.cpp": source("int value = 0;", "")], toolchain.with("-std=c++20"))
    try game.line()
    let refusal = try game.editRefused("game.cpp", source("long extra = 0; int value = 0;", ""))
    #expect(refusal.reason?.contains("extra is new") == true, "\(refusal.reason ?? "")")
    let line = try game.line()
    #expect(line["n"] == line["frames"])
    // Another body is fine: the frame that is suspended goes on in its own.
    try game.edit("game.cpp", source("int value = 0;", "* 2"))
    let after = try game.line()
    #expect(after["n"] == after["frames"])
    try game.stop()
  }
}

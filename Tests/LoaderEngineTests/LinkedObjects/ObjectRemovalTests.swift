// What becomes of linked objects that are replaced or removed: names at once, memory with its last holder.
import CLoaderSupport
import Glibc
import LoaderEngine
import Synchronization
import TestFixtures
import Testing

@Suite("Removing and replacing linked objects")
struct ObjectRemovalTests {
  @Test("Replacing moves callers and pointers at once; addresses stay equal")
  func replacing() throws {
    let context = LinkContext()
    let old = try context.link(
      "long step(long n) { return n + 1; } long gone(void) { return 1; }", name: "old.o")
    let user = try context.link(
      """
      long step(long); typedef long (*function)(long);
      static function kept = step;
      long run(long n) { return kept(n) * 1000 + step(n); }
      long same(void) { return kept == step; }
      """)
    #expect(try user.call("run", 1) == 2002)
    let before = try old.symbol("step", as: LongFunction.self)
    let new = try context.link(
      [.made("long step(long n) { return n + 5; }", name: "new.o")], replacing: old)
    #expect(try user.call("run", 1) == 6006)
    #expect(try user.call("same") == 1)
    #expect(before.value(1, 0) == 6, "who holds the function calls the new body")
    #expect(new.generation == 3)
    #expect(old.address(of: "step") == nil)
    #expect(context.address(of: "gone") == nil)
    #expect(old.remove() == false)
    #expect(new.exports.map(\.name) == ["step"])
  }

  @Test("A replacement that cannot be linked leaves the old objects as they were")
  func failedReplacement() throws {
    let context = LinkContext()
    let old = try context.link("long n = 3; long f(void) { return n++; }")
    #expect(throws: LinkError.self) {
      try context.link(
        [.made("extern long nothere; long f(void) { return nothere; }")], replacing: old)
    }
    #expect(try old.call("f") == 3)
    #expect(try context.call("f") == 4)
  }

  @Test("Data of a replaced set moves for users by way of the GOT; others keep the old one alive")
  func replacedData() throws {
    let context = LinkContext()
    let old = try context.link("long table[4] = { 1, 2, 3, 4 };")
    let user = try context.link(
      [
        .made(
          "extern long table[]; long run(long i) { return table[i]; }", flags: ["-O1", "-fPIC"])
      ]
    )
    #expect(try user.call("run", 1) == 2)
    try context.link([.made("long table[4] = { 10, 20, 30, 40 };")], replacing: old)
    // Through the GOT or bound to the old memory: never garbage.
    #expect([2, 20].contains(try user.call("run", 1)))
    let fresh = try context.link("extern long table[]; long again(long i) { return table[i]; }")
    #expect(try fresh.call("again", 1) == 20)
  }

  @Test("Removed objects give back code, constants, data and thread-local storage")
  func memory() throws {
    let context = LinkContext()
    try context.link("long base(long n) { return n; }", name: "base.o")
    let source = try ObjectSource.made(
      """
      #include <stdio.h>
      static __thread long depth = 5; static __thread char more[100];
      static long table[500] = { 1 }; static long big[5000]; long shared_words[64];
      static long helper(long n) { return n + depth++; }
      static long (*kept)(long) = helper;
      const char *text(long n) { return n ? "a literal of its own" : "another literal"; }
      long base(long);
      long run(long n) { more[n]++; big[n]++; return base(kept(n) + table[0]) + text(n)[0]; }
      """, flags: ["-O1", "-fPIC", "-ftls-model=initial-exec"])
    func usage() throws -> [UInt64] {
      let space = try context.objectSpace
      return Arena.Kind.allCases.map { space.arena.used($0) } + [UInt64(space.slots.count)]
    }
    var start: [UInt64] = []
    for round in 0..<500 {
      let objects = try context.link([source])
      #expect(try objects.call("run", 0) == 0 + 5 + 1 + 97)
      #expect(objects.memoryUse.data >= 44_000 && objects.memoryUse.threadLocal >= 108)
      #expect(objects.memoryUse.text > 0 && objects.memoryUse.constants > 0)
      #expect(objects.remove())
      if round == 4 { start = try usage() }
      if round == 5 || round == 499 {
        #expect(try usage() == start, "text, constants, data, slots after \(round) rounds")
      }
    }
  }

  @Test("A symbol keeps a removed variable in memory; names are gone at once")
  func heldSymbol() throws {
    let context = LinkContext()
    var objects: LinkedObjects? = try context.link("long n = 1; long f(void) { return n++; }")
    let data: Symbol<UnsafeMutablePointer<Int>> = try #require(objects).symbol("n")
    #expect(try #require(objects).call("f") == 1)
    objects?.remove()
    objects = nil
    #expect(context.address(of: "f") == nil)
    #expect(data.value.pointee == 2)
    #expect(throws: LinkError.self) {
      try context.link("extern long n; long g(void) { return n; }")
    }
    try context.link("long n = 50; long f(void) { return n; }")
    #expect(try context.call("f") == 50)
    #expect(data.value.pointee == 2, "the old variable is another one")
  }

  @Test("Data that a later link refers to stays in memory")
  func dependents() throws {
    let context = LinkContext()
    var library: LinkedObjects? = try context.link("long words[3] = { 7, 8, 9 };")
    let user = try context.link("extern long words[]; long run(long i) { return words[i]++; }")
    library?.remove()
    library = nil
    try context.link("static long fill[2000]; long other(long i) { return fill[i] = -1; }")
    #expect(try user.call("run", 2) == 9)
    #expect(try user.call("run", 2) == 10)
  }

  @Test("An inline function that several links have outlives the first of them")
  func inlineFunctions() throws {
    let header = """
      template <typename T> struct Box { T value; T twice() { return value + value; } };
      inline long &shared() { static long n = 3; return n; }
      """
    let context = LinkContext()
    let one = try context.link(
      header + "\nextern \"C\" long one(long n) { return Box<long>{n}.twice() + shared()++; }",
      .gxx, name: "one.o")
    let two = try context.link(
      header + "\nextern \"C\" long two(long n) { return Box<long>{n}.twice() + shared()++; }",
      .gxx, name: "two.o")
    #expect(try one.call("one", 1) == 5)
    #expect(try two.call("two", 1) == 6, "one variable")
    #expect(one.remove())
    #expect(try two.call("two", 1) == 7)
    let three = try context.link(
      header + "\nextern \"C\" long three(long n) { return Box<long>{n}.twice() + shared()++; }",
      .gxx, name: "three.o")
    #expect(try three.call("three", 1) == 8, "still one variable")
    #expect(two.remove())
    #expect(try three.call("three", 2) == 11)
  }

  @Test("A call of what was removed is a call of an undefined function")
  func removedCallee() throws {
    let context = LinkContext()
    let callee = try context.link("long callee(long n) { return n + 1; }")
    let caller = try context.link("long callee(long); long run(long n) { return callee(n); }")
    #expect(try caller.call("run", 1) == 2)
    callee.remove()
    try context.onUndefinedCall { _ in
      .address(HostSymbol(function: { -1 } as @convention(c) () -> Int).address)
    }
    #expect(try caller.call("run", 1) == -1)
    try context.link("long callee(long n) { return n + 9; }")
    #expect(try caller.call("run", 1) == 10)
  }

  @Test("Handlers and destructors run when objects are removed, once, in order")
  func handlers() async {
    let result = await #expect(
      processExitsWith: .success, observing: [\.standardOutputContent]
    ) {
      let context = LinkContext()
      let objects = try context.link(
        [
          .made(
            """
            #include <cstdio>
            struct Loud { const char *name; ~Loud() { printf("~%s\\n", name); fflush(stdout); } };
            static Loud early{"early"}, late{"late"};
            extern "C" long run(long, long) { static Loud inside{"inside"}; return 1; }
            __attribute__((destructor)) static void fini() { puts("fini"); fflush(stdout); }
            """, .gxx)
        ])
      _ = try objects.call("run")
      objects.remove()
      print("removed")
      objects.remove()
    }
    let text = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    #expect(text.hasSuffix("~inside\n~late\n~early\nfini\nremoved\n"), "\(text)")
  }

  @Test("A thread that owes a destructor keeps the code it needs")
  func threadExit() async {
    await #expect(processExitsWith: .success) {
      let context = LinkContext()
      let seen = UnsafeMutablePointer<Int>.allocate(capacity: 1)
      seen.pointee = 0
      try context.define("seen", HostSymbol(Address(UnsafeRawPointer(seen)), .data))
      var options = ObjectOptions()
      options.isStrict = true
      var objects: LinkedObjects? = try context.link(
        [
          .made(
            """
            extern long seen;
            struct Owed { long n = 20; ~Owed() { seen += n; } };
            static thread_local Owed owed;
            extern "C" long run(long n, long) { return owed.n += n; }
            """, .gxx)
        ], options: options)
      let run: Symbol<LongFunction> = try #require(objects).symbol("run")
      let function = run.value
      let thread = Worker()
      thread.run { _ = function(1, 0) }
      objects?.remove()
      objects = nil
      // What comes now would lie where the destructor lay.
      for index in 0..<20 { try context.link("long filler_\(index)(void) { return 1; }") }
      thread.end()
      guard seen.pointee == 21 else { exit(1) }
    }
  }

  @Test("Exceptions work after hundreds of links came and went")
  func unwinding() throws {
    let context = LinkContext()
    let source = try ObjectSource.made(
      """
      extern "C" long run(long n, long) {
        try { if (n % 2) throw n; } catch (long m) { return m + 100; }
        return n;
      }
      """, .gxx)
    let kept = try context.link(
      """
      extern "C" long other(long n, long) {
        try { throw (int)n; } catch (int m) { return m * 2; }
      }
      """, .gxx)
    for round in 0..<300 {
      let objects = try context.link([source])
      #expect(try objects.call("run", round) == (round % 2 == 1 ? round + 100 : round))
      if round % 7 == 0 { #expect(try kept.call("other", round) == round * 2) }
      objects.remove()
    }
  }
}

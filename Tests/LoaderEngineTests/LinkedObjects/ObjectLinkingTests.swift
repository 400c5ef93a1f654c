// Objects linked into a context one after the other, as a compiler emits them.
import CLoaderSupport
import Foundation
import LoaderEngine
import Synchronization
import SystemPackage
import TestFixtures
import Testing

@Suite("Linking objects into a context")
struct ObjectLinkingTests {
  @Test("A later link sees functions and data of an earlier one, and of the process")
  func earlier() throws {
    let context = LinkContext()
    try context.link("long count = 40; long more(long n) { return n + 1; }")
    let user = try context.link(
      """
      #include <string.h>
      extern long count; long more(long);
      long run(long n) { return more(count) + strlen("four") + n; }
      """)
    #expect(try user.call("run", 100) == 145)
    #expect(context.address(of: "count") != nil)
    #expect(throws: LinkError.self) { try user.symbol("count", as: UnsafePointer<Int>.self) }
  }

  @Test("A function may be called before it is linked")
  func later() throws {
    let context = LinkContext()
    let even = try context.link(
      "long odd(long); long even(long n) { return n == 0 ? 1 : odd(n - 1); }")
    #expect(even.undefinedFunctions == ["odd"])
    let promised: Symbol<LongFunction> = try context.function(named: "odd")
    try context.link("long even(long); long odd(long n) { return n == 0 ? 0 : even(n - 1); }")
    #expect(try even.call("even", 10) == 1)
    #expect(promised.value(7, 0) == 1)
    #expect(context.address(of: "odd") == promised.address, "one address, from the start")
  }

  @Test("A function is compiled when it is first called, once, however many threads call it")
  func onFirstCall() throws {
    let context = LinkContext()
    let compiled = Mutex<[String]>([])
    try context.onUndefinedCall { name in
      compiled.withLock { $0.append(name) }
      return .objects([try .made("long \(name)(long n) { return n * 3; }", name: name)])
    }
    let user = try context.link("long triple(long); long run(long n) { return triple(n) + 1; }")
    let run: Symbol<LongFunction> = try user.symbol("run")
    let answers = Mutex<[Int]>([])
    let threads = (0..<8).map { index in
      Started {
        let answer = run.value(index, 0)
        answers.withLock { $0.append(answer) }
      }
    }
    for thread in threads { thread.join() }
    #expect(answers.withLock { $0.sorted() } == (0..<8).map { $0 * 3 + 1 })
    #expect(compiled.withLock { $0 } == ["triple"])
  }

  @Test("A handler may answer with a function of the host")
  func answered() throws {
    let context = LinkContext()
    try context.onUndefinedCall { _ in
      let seven: LongFunction = { first, _ in first + 7 }
      return .address(HostSymbol(function: seven).address)
    }
    try context.link("long missing(long); long run(long n) { return missing(n); }")
    #expect(try context.call("run", 1) == 8)
    try context.link("long missing(long n) { return n + 1000; }")
    #expect(try context.call("run", 1) == 1001, "a definition takes its place")
  }

  @Test("Without an answer the process ends with the function's name")
  func unanswered() async {
    let result = await #expect(
      processExitsWith: .signal(SIGABRT), observing: [\.standardErrorContent]
    ) {
      let context = LinkContext()
      try context.link("long nowhere(long); long run(long n) { return nowhere(n); }")
      _ = try context.call("run")
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("call of undefined function 'nowhere'"))
  }

  @Test("Undefined data, and functions of a strict link, are refused and change nothing")
  func refused() throws {
    let context = LinkContext()
    #expect(throws: LinkError.self) {
      try context.link("extern long nothere; long run(void) { return nothere; }")
    }
    var options = ObjectOptions()
    options.isStrict = true
    let caller = try ObjectSource.made("long nofn(void); long run(void) { return nofn(); }")
    #expect {
      try context.link([caller], options: options)
    } throws: { error in
      guard let error = error as? LinkError, case .undefined(let symbols) = error.reason else {
        return false
      }
      return symbols.map(\.name) == ["nofn"] && symbols[0].sites.first?.file == "unit.o"
    }
    #expect(context.address(of: "run") == nil)
    try context.link("long run(void) { return 5; }")
    #expect(try context.call("run") == 5)
  }

  @Test("Two strong definitions are an error that names both objects")
  func duplicates() throws {
    let context = LinkContext()
    try context.link("long f(void) { return 1; }", name: "first.o")
    #expect {
      try context.link("long f(void) { return 2; }", name: "second.o")
    } throws: { error in
      let text = "\(error)"
      return text.contains("first.o") && text.contains("second.o") && text.contains("f")
    }
    #expect(try context.call("f") == 1)
  }

  @Test("Contexts are apart")
  func isolation() throws {
    let source = try ObjectSource.made("static long n; long next(void) { return ++n; }")
    let (one, other) = (LinkContext(), LinkContext())
    try one.link([source])
    try other.link([source])
    #expect(try one.call("next") == 1)
    #expect(try one.call("next") == 2)
    #expect(try other.call("next") == 1)
  }

  @Test("The host gives functions, data and numbers a name")
  func hostSymbols() throws {
    let context = LinkContext()
    let double: LongFunction = { first, _ in first * 2 }
    let half: LongFunction = { first, _ in first / 2 }
    let memory = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    memory.pointee = 11
    defer { memory.deallocate() }
    try context.define("host_function", HostSymbol(function: double))
    try context.define("host_data", HostSymbol(Address(UnsafeRawPointer(memory)), .data))
    try context.define("host_number", HostSymbol(Address(1234), .absolute))
    try context.link(
      """
      long host_function(long); extern long host_data; extern char host_number[];
      long run(long n) { return host_function(n) + host_data++ + (long)host_number; }
      """)
    #expect(try context.call("run", 5) == 10 + 11 + 1234)
    #expect(memory.pointee == 12)
    try context.define("host_function", HostSymbol(function: half))
    #expect(try context.call("run", 8) == 4 + 12 + 1234)
    #expect(throws: LinkError.self) {
      try context.define("run", HostSymbol(function: half))
    }
  }

  @Test("A resolver is asked for what nobody else has, once a name")
  func resolver() throws {
    let context = LinkContext()
    let asked = Mutex<[String]>([])
    let nine: LongFunction = { _, _ in 9 }
    var options = ObjectOptions()
    options.isStrict = true
    options.resolver = { name in
      asked.withLock { $0.append(name) }
      return name == "special" ? HostSymbol(function: nine) : nil
    }
    let object = try ObjectSource.made(
      """
      #include <stdlib.h>
      long special(void); __attribute__((weak)) extern long maybe;
      long run(void) { return special() + special() + labs(-1) + (&maybe ? 100 : 0); }
      """)
    try context.link([object], options: options)
    #expect(try context.call("run") == 19)
    #expect(asked.withLock { $0.sorted() } == ["maybe", "special"])
  }

  @Test("Objects use a loaded library's functions and data, and keep it loaded")
  func images() throws {
    let context = LinkContext.unmapping()
    let library = SharedObject(
      "forobjects", "long stock = 30; long take(long n) { return stock -= n; }")
    var image: Image? = try library.load(.file, in: context)
    let range = try #require(image?.range)
    var options = ObjectOptions()
    options.images = [try #require(image)]
    let objects = try context.link(
      [
        .made(
          "extern long stock; long take(long); long run(long n) { return take(n) * 100 + stock; }")
      ], options: options)
    options.images = []
    image = nil
    #expect(try objects.call("run", 8) == 2222)
    #expect(LoadedImages.permissions(at: range.start).hasPrefix("r"))
    objects.remove()
    withExtendedLifetime(objects) {}
    #expect(throws: LinkError.self) {
      try context.link("extern long stock; long other(void) { return stock; }")
    }
  }

  @Test("Initialisers run in order, with arguments; finalisers when the context goes")
  func life() async {
    let result = await #expect(
      processExitsWith: .exitCode(3), observing: [\.standardOutputContent]
    ) {
      let source = """
        #include <stdio.h>
        #include <stdlib.h>
        __attribute__((constructor(200))) void second(int argc, char **argv) {
          printf("second %d %s\\n", argc, argv[0]); fflush(stdout);
        }
        __attribute__((constructor(101))) void first(void) { printf("first\\n"); fflush(stdout); }
        __attribute__((constructor)) void third(void) { printf("third\\n"); fflush(stdout); }
        __attribute__((destructor(101))) void last(void) { printf("last\\n"); fflush(stdout); }
        __attribute__((destructor)) void end(void) { printf("end\\n"); fflush(stdout); }
        """
      let atEnd = "__attribute__((destructor)) void done(void) { puts(\"done\"); fflush(stdout); }"
      var options = LinkContext.Options()
      options.arguments = ["program"]
      do {
        let context = LinkContext(options)
        try context.link(source)
      }
      let other = LinkContext()
      try other.link("#include <stdio.h>\n" + atEnd)
      withExtendedLifetime(other) { exit(3) }
    }
    let text = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    #expect(text.hasSuffix("first\nsecond 1 program\nthird\nend\nlast\ndone\n"), "\(text)")
  }

  @Test("Exceptions cross links in both directions")
  func exceptions() throws {
    let context = LinkContext()
    try context.link(
      [
        .made(
          """
          #include <stdexcept>
          #include <string>
          extern "C" long thrower(long n) {
            std::string guard(40, 'x');
            if (n > 2) throw std::out_of_range("too large: " + guard);
            return n;
          }
          """, .gxx, name: "thrower.o")
      ])
    let catcher = try context.link(
      """
      #include <stdexcept>
      #include <cstring>
      extern "C" long thrower(long);
      extern "C" long run(long n) {
        try { return thrower(n); }
        catch (const std::logic_error &error) { return -(long)strlen(error.what()); }
      }
      """, .gxx, name: "catcher.o")
    #expect(try catcher.call("run", 1) == 1)
    for _ in 0..<3 { #expect(try catcher.call("run", 9) == -51) }
  }

  @Test("Swift objects register their types, and casts find them")
  func swift() throws {
    let context = LinkContext()
    let objects = try context.link(
      [
        .made(
          """
          protocol Animal { func legs() -> Int }
          final class Dog: Animal { func legs() -> Int { 4 } }
          struct Bird: Animal { func legs() -> Int { 2 } }
          @inline(never) func all() -> [Any] { [Dog(), Bird(), 7] }
          @_cdecl("run") public func run(_ n: Int, _ m: Int) -> Int {
            all().reduce(n) { $0 + (($1 as? any Animal)?.legs() ?? 100) }
          }
          """, .swiftc, flags: ["-O"])
      ])
    #expect(try objects.call("run", 1000) == 1106)
  }

  @Test("Members of an archive are linked together")
  func archive() throws {
    let url = try Compiled.archive([
      ("a.o", try Compiled.object(.gcc, "long b(void); long a(void) { return b() + 1; }")),
      ("b.o", try Compiled.object(.gcc, "long b(void) { return 41; }")),
    ])
    let members = try ObjectSource.members(of: FilePath(url.path))
    #expect(members.map(\.definedNames) == [["a"], ["b"]])
    #expect(members[0].undefinedNames.contains("b"))
    let context = LinkContext()
    let objects = try context.link(members)
    #expect(objects.names.count == 2)
    #expect(try objects.call("a") == 42)
  }

  @Test("Threads link and call at once")
  func concurrency() throws {
    let context = LinkContext()
    let sources = try (0..<8).map { index in
      try (0..<10).map { round in
        try ObjectSource.made(
          """
          long f_\((index + 1) % 8)_\(round)_leaf(long);
          long f_\(index)_\(round)_leaf(long n) { return n + \(index); }
          long f_\(index)_\(round)(long n) { return f_\((index + 1) % 8)_\(round)_leaf(n) * 10; }
          """, name: "f_\(index)_\(round).o")
      }
    }
    let failures = Mutex<[String]>([])
    let ready = Mutex(0)
    let threads = (0..<8).map { index in
      Started {
        for round in 0..<10 {
          do { try context.link([sources[index][round]]) } catch {
            failures.withLock { $0.append("\(error)") }
          }
        }
        ready.withLock { $0 += 1 }
        while ready.withLock({ $0 }) < 8 { sched_yield() }
        for round in 0..<10 {
          let answer = try? context.call("f_\(index)_\(round)", round)
          if answer != (round + (index + 1) % 8) * 10 {
            failures.withLock { $0.append("f_\(index)_\(round): \(answer ?? -1)") }
          }
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(failures.withLock { $0 } == [])
  }
}

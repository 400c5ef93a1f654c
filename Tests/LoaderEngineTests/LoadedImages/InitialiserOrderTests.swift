// Initialisers and finalisers, in the order of the gABI and of ld.so, whose journal is compared with ours.
// gABI, “Initialization and Termination Functions”; Itanium C++ ABI, 3.3.5.
import Glibc
import LoaderEngine
import SystemPackage
import TestFixtures
import Testing

@Suite("Initialisers and finalisers")
struct InitialiserOrderTests {
  static func noting(_ name: String, needs: [SharedObject] = []) -> SharedObject {
    SharedObject(
      name, .gxx, flags: ["-Wl,-init,begin", "-Wl,-fini,finish"], needs: [.journal] + needs,
      """
      #include <stdlib.h>
      extern "C" {
      void note(const char *);
      void begin() { note("\(name).init"); }
      void finish() { note("\(name).fini"); }
      static void exiting() { note("\(name).atexit"); }
      __attribute__((constructor(101))) static void early() { note("\(name).1"); atexit(exiting); }
      __attribute__((constructor(102))) static void later() { note("\(name).2"); }
      __attribute__((constructor)) static void last() { note("\(name).3"); }
      __attribute__((destructor(101))) static void out_last() { note("\(name).-1"); }
      __attribute__((destructor(102))) static void out_later() { note("\(name).-2"); }
      long answer(void) { return 1; }
      }
      namespace { struct Global { Global() { note("\(name).new"); } ~Global() { note("\(name).delete"); } };
      Global global; }
      """)
  }

  static let leaf = noting("leaf")
  static let left = noting("left", needs: [leaf])
  static let right = noting("right", needs: [leaf])
  static let root = noting("root", needs: [left, right])

  /// What ld.so does with the same files, at load and at unload.
  static func oracle(_ object: SharedObject) throws -> (loaded: String, unloaded: String) {
    guard let journal = dlopen(try SharedObject.journal.path(), RTLD_NOW),
      let text = dlsym(journal, "journal"), let clear = dlsym(journal, "clear")
    else { throw CommandFailure(description: "no journal") }
    func read() -> String {
      let pointer = unsafeBitCast(text, to: Image.Function.self)(0, 0)
      return UnsafePointer<CChar>(bitPattern: pointer).map { String(cString: $0) } ?? ""
    }
    let reset = unsafeBitCast(clear, to: Image.Function.self)
    _ = reset(0, 0)
    guard let handle = dlopen(try object.path(), RTLD_NOW) else {
      throw CommandFailure(description: String(cString: dlerror()))
    }
    let loaded = read()
    _ = reset(0, 0)
    dlclose(handle)
    return (loaded, read())
  }

  /// Two libraries that need each other.
  static let circle = {
    let text = """
      void note(const char *);
      __attribute__((constructor)) static void begin(void) { note("a"); }
      __attribute__((destructor)) static void end(void) { note("-a"); }
      long answer(void) { return 1; }
      """
    let first = SharedObject("circleA", needs: [.journal], text)
    let second = SharedObject(
      "circleB", needs: [.journal, first],
      text.replacing("a\")", with: "b\")").replacing("answer", with: "other"))
    // The first again, now so that it needs the second.
    return SharedObject("circleA", needs: [.journal, second], text)
  }()

  static let graphs = ["diamond": root, "circle": circle]

  @Test(
    "They run as ld.so runs them: dependencies first, and the other way round at unload",
    arguments: ["diamond", "circle"], Origin.allCases)
  func order(graph: String, origin: Origin) async {
    // Alone in a process: the journal of ld.so's images is one for all.
    await #expect(processExitsWith: .success) {
      [graph = graph as String, origin = origin as Origin] in
      let object = try #require(InitialiserOrderTests.graphs[graph])
      let expected = try InitialiserOrderTests.oracle(object)
      if graph == "diamond" {
        #expect(expected.loaded.hasPrefix("leaf.init leaf.1 leaf.2 leaf.3 leaf.new "))
        #expect(expected.unloaded.hasSuffix("leaf.delete leaf.atexit leaf.-2 leaf.-1 leaf.fini "))
      }
      let context = LinkContext()
      let bytes = try SharedObject.journal.bytes()
      let journal = try context.loadLibrary(
        ImageSource(FileContents(bytes), name: SharedObject.journal.fileName))
      var image: Image? = try object.load(origin, in: context)
      #expect(try journal.text("journal") == expected.loaded)
      #expect(try image?.call("answer") == 1)
      try journal.call("clear")
      image = nil
      // In a circle glibc finishes first what was initialised first; we keep to the gABI.
      let unloaded = graph == "circle" ? "-a -b " : expected.unloaded
      #expect(try journal.text("journal") == unloaded)
    }
  }

  @Test("They get argc, argv and envp", arguments: Origin.allCases)
  func arguments(origin: Origin) throws {
    let object = SharedObject(
      "arguments", flags: ["-Wl,-init,begin"],
      """
      #include <string.h>
      extern char **environ;
      static long by_init, by_array;
      static long look(int argc, char **argv, char **envp) {
        return argc == 2 && !strcmp(argv[0], "program") && !strcmp(argv[1], "one") && !argv[2]
          && envp == environ;
      }
      void begin(int argc, char **argv, char **envp) { by_init = look(argc, argv, envp); }
      __attribute__((constructor)) void array(int argc, char **argv, char **envp) {
        by_array = look(argc, argv, envp);
      }
      long run(void) { return by_init * 10 + by_array; }
      """)
    var options = LinkContext.Options()
    options.arguments = ["program", "one"]
    let image = try object.load(origin, in: LinkContext(options))
    #expect(try image.call("run") == 11)
  }

  @Test("Words of 0 and -1 in the arrays are skipped")
  func gaps() throws {
    let object = SharedObject(
      "gaps", needs: [.journal],
      """
      void note(const char *);
      void one(void) { note("one"); }
      void two(void) { note("two"); }
      void three(void) { note("three"); }
      __asm__(".section .init_array, \\"aw\\"; .quad 0, -1, one, -1, 0, two; .text");
      __asm__(".section .fini_array, \\"aw\\"; .quad three, 0, -1; .text");
      """)
    let context = LinkContext()
    let journal = try SharedObject.journal.load(.memory, in: context)
    var image: Image? = try object.load(.memory, in: context)
    #expect(try journal.text("journal") == "one two ")
    withExtendedLifetime(image) {}
    image = nil
    #expect(try journal.text("journal") == "one two three ")
  }

  @Test("Nothing runs where the caller does not want it")
  func withheld() throws {
    var options = LinkContext.Options()
    options.runsInitialisers = false
    let context = LinkContext(options)
    let journal = try SharedObject.journal.load(.memory, in: context)
    var image: Image? = try Self.leaf.load(.memory, in: context)
    #expect(try image?.call("answer") == 1)
    image = nil
    #expect(try journal.text("journal") == "")
  }

  @Test("DT_PREINIT_ARRAY of an executable runs first of all")
  func preinit() throws {
    let object = SharedObject(
      "preinit", kind: .executable, flags: ["-pie", "-fPIE", "-rdynamic"],
      needs: [Self.leaf, .journal],
      """
      void note(const char *);
      static void first(void) { note("preinit"); }
      __attribute__((section(".preinit_array"), used)) static void (*entry)(void) = first;
      __attribute__((constructor)) static void own(void) { note("constructor"); }
      int main(void) { return 0; }
      """)
    let context = LinkContext()
    let journal = try SharedObject.journal.load(.file, in: context)
    let image = try object.load(.file, in: context)
    let text = try journal.text("journal")
    #expect(text.hasPrefix("preinit leaf.init "))
    #expect(text.hasSuffix("constructor "))
    withExtendedLifetime(image) {}
  }

  // MARK: handlers

  @Test("Handlers registered with __cxa_atexit run once, at unload, and none is left for the exit")
  func exitHandlers() async {
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      let object = SharedObject(
        "handlers", .gxx,
        """
        #include <stdio.h>
        #include <stdlib.h>
        #include <unistd.h>
        static void say(const char *text) { if (write(1, text, 2) != 2) abort(); }
        struct Noisy { const char *name; ~Noisy() { say(name); } };
        static Noisy a{"a "};
        static void handler() { say("h "); }
        extern "C" long run() { static Noisy b{"b "}; return atexit(handler); }
        """)
      let bytes = try object.bytes()
      for _ in 0..<3 {
        let image = try LinkContext().loadLibrary(ImageSource(FileContents(bytes), name: "h"))
        #expect(try image.call("run") == 0)
      }
      // One more lives until the end of the process.
      let last = try LinkContext().loadLibrary(ImageSource(FileContents(bytes), name: "h"))
      #expect(try last.call("run") == 0)
      _ = Unmanaged.passRetained(last)
      _ = write(1, "| ", 2)
      exit(0)
    }
    let text = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    // The test's own runner may print, too.
    #expect(text.contains("h b a h b a h b a | ") && text.contains("h b a "))
    #expect(text.split(separator: " ").filter { $0 == "h" }.count == 4, "\(text)")
  }
}

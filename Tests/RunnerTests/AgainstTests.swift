// `hotlink check --against dlopen`: libraries of this system that must not differ from what ld.so makes of them
// in a single word, and what the command says when something does, or does not load. Relocations one by one:
// AgainstFixtures.
import Foundation
import Testing

/// Libraries of the packages that `scripts/setup.sh test` installs, 60 in all.
enum SweptLibraries: String, CaseIterable, CustomTestStringConvertible {
  case libc, compiler, gconv, crypto, text, interpreters, python, large

  var testDescription: String { rawValue }

  /// Opened in the process first: extension modules do not name it.
  var options: [String] { self == .python ? ["-l", "libpython3.11.so.1.0"] : [] }

  var paths: [String] {
    let folder =
      switch self {
      case .gconv: "/usr/lib/x86_64-linux-gnu/gconv/"
      case .python: "/usr/lib/python3.11/lib-dynload/"
      default: "/usr/lib/x86_64-linux-gnu/"
      }
    let suffix =
      switch self {
      case .gconv: ".so"
      case .python: ".cpython-311-x86_64-linux-gnu.so"
      default: ""
      }
    return names.map { folder + $0 + suffix }
  }

  private var names: [String] {
    switch self {
    case .libc:
      [
        "libc.so.6", "libm.so.6", "libmvec.so.1", "libpthread.so.0", "libresolv.so.2",
        "libnss_compat.so.2", "libBrokenLocale.so.1", "libc_malloc_debug.so.0", "libanl.so.1",
      ]
    case .compiler:
      [
        "libstdc++.so.6", "libgcc_s.so.1", "libgomp.so.1", "libatomic.so.1", "libitm.so.1",
        "libasan.so.8", "libubsan.so.1", "libquadmath.so.0",
      ]
    case .gconv: ["UTF-16", "UTF-7", "EUC-JP", "libJIS", "ISO8859-1", "IBM1047"]
    case .crypto:
      [
        "libcrypto.so.3", "libssl.so.3", "libcurl.so.4", "libnettle.so.8", "libgnutls.so.30",
        "libgmp.so.10", "libkrb5.so.3", "libssh2.so.1",
      ]
    case .text:
      [
        "libxml2.so.2", "libicuuc.so.72", "libicui18n.so.72", "libicudata.so.72",
        "libunistring.so.2", "libidn2.so.0", "libexpat.so.1", "libz.so.1", "libzstd.so.1",
        "liblzma.so.5",
      ]
    case .interpreters:
      ["libsqlite3.so.0", "libpython3.11.so.1.0", "liblua5.4.so.0", "libffi.so.8", "libdw.so.1"]
    case .python: ["_ssl", "_decimal", "_asyncio", "_ctypes", "_sqlite3", "_json"]
    case .large:
      [
        "libLLVM-14.so.1", "libQt5Core.so.5", "libglib-2.0.so.0", "libGL.so.1",
        "libGLdispatch.so.0", "libGLX.so.0", "libX11.so.6", "libxcb.so.1",
      ]
    }
  }
}

@Suite struct AgainstTests {
  @Test(arguments: SweptLibraries.allCases)
  func libraryHasTheWordsDlopenGivesIt(_ group: SweptLibraries) throws {
    let (code, results) = try AgainstResult.of(group.paths, group.options)
    #expect(results.map(\.library) == group.paths)
    for result in results {
      #expect(result.refused == nil && result.failed == nil, "\(result)")
      #expect(result.different.isEmpty, "\(result.library): \(result.different.prefix(5))")
      #expect(result.relocations > 0 && result.compared == result.relocations, "\(result)")
    }
    #expect(code == 0)
  }

  @Test func theListHasSixtyLibraries() {
    #expect(Set(SweptLibraries.allCases.flatMap(\.paths)).count == 60)
  }

  @Test func aWrongWordIsReportedWithBothMeanings() throws {
    let folder = try TemporaryFolder()
    let library = try SharedFixture.c(
      "int shared = 7; int *pointer = &shared + 1; static int own; int *other = &own;"
    ).build(in: folder)
    let entries = try Readelf(library).relocations
    for entry in entries {
      let (code, result) = try AgainstResult.of(library, ["--falsify", "\(entry.offset)"])
      #expect(code == 1)
      #expect(result.compared == result.relocations)
      #expect(result.different.count == 1)
      let difference = try #require(result.different.first)
      #expect(difference.offset == entry.offset && difference.type == entry.typeName)
      #expect(difference.symbol == entry.symbol || entry.symbol.hasPrefix(difference.symbol + "@"))
      #expect(difference.ours == "0xf1a5e1f1")
      if entry.symbol == "shared" || entry.typeName == "R_X86_64_RELATIVE" {
        #expect(difference.theirs.hasPrefix("self+0x"), "\(difference)")
      }
      if entry.symbol.hasPrefix("__cxa_finalize") {
        #expect(difference.theirs.contains("/libc.so.6+0x"), "\(difference)")
      }
    }
    #expect(entries.count > 5)
    let people = try Tool.hotlink(
      ["check", "--against", "dlopen", library, "--falsify", "\(entries[0].offset)"])
    #expect(people.code == 1)
    #expect(people.stdout.contains("relocations compared, 1 different\n"))
    #expect(people.stdout.contains("    ours:   0xf1a5e1f1\n    theirs: self+0x"))
  }

  // MARK: what does not load

  @Test func dlopenCannotEither() throws {
    let folder = try TemporaryFolder()
    let incomplete = try SharedFixture.c("void nobody(void); void f(void) { nobody(); }")
      .build("incomplete", in: folder)
    for (path, words) in [
      (incomplete, "undefined symbol: nobody"),
      (folder.path("nothing.so"), "No such file"),
      (try folder.write(String(repeating: "no library ", count: 99), to: "text.so"), "ELF"),
    ] {
      let (code, result) = try AgainstResult.of(path)
      #expect(code == 5 && result.failed == nil, "\(result)")
      #expect(result.refused?.contains(words) == true, "\(result)")
      #expect(result.relocations == 0 && result.compared == 0 && result.different.isEmpty)
    }
  }

  @Test func weCannotButDlopenCan() throws {
    let folder = try TemporaryFolder()
    let library = try SharedFixture.c(
      "int f(void) { return 1; }", flags: ["-Wl,-z,execstack"]
    ).build(in: folder)
    let (code, result) = try AgainstResult.of(library)
    #expect(code == 2 && result.refused == nil)
    #expect(result.failed?.contains("an executable stack") == true, "\(result)")
  }

  @Test(arguments: [
    ("for (;;) ;", "no end within 2 s"), ("__builtin_trap();", "ended by signal 4"),
    ("_exit(9);", "exited with 9"),
  ])
  func aDependencysConstructorEndsOnlyTheChild(_ body: String, _ words: String) throws {
    let folder = try TemporaryFolder()
    let needed = try SharedFixture.c(
      "#include <unistd.h>\n__attribute__((constructor)) static void f(void) { \(body) }\nint here;"
    ).build("needed", in: folder)
    let library = try SharedFixture.c(
      "extern int here; int *p = &here;", flags: [needed, "-Wl,-rpath,$ORIGIN"]
    ).build(in: folder)
    let good = try SharedFixture.c("int f(void) { return 1; }").build("good", in: folder)
    let (code, results) = try AgainstResult.of([library, good], ["--time-limit", "2"])
    #expect(code == 5)
    #expect(results.count == 2 && results.first?.refused == words, "\(results)")
    #expect(results.last?.refused == nil && results.last?.different.isEmpty == true)
  }

  @Test func initialisersAndFinalisersDoNotRun() throws {
    let folder = try TemporaryFolder()
    // Both change words that were relocated: as libnettle's does, and libobjc's.
    let library = try SharedFixture.c(
      """
      #include <stdio.h>
      int a, b; int *volatile word = &a;
      __attribute__((constructor)) static void start(void) { word = word == &a ? &b : NULL; }
      __attribute__((destructor)) static void end(void) { fclose(fopen("\(folder.path("ended"))", "w")); }
      void _init_too(void) { word = NULL; }
      """, flags: ["-Wl,-init,_init_too"]
    ).build(in: folder)
    let (code, result) = try AgainstResult.of(library)
    #expect(code == 0 && result.different.isEmpty, "\(result)")
    #expect(!FileManager.default.fileExists(atPath: folder.path("ended")))
  }

  // MARK: many

  @Test func directoriesAreWalkedAndTheWorstCodeWins() throws {
    let folder = try TemporaryFolder()
    _ = try SharedFixture.c("int f(void) { return 1; }").build("sub/deep/good", in: folder)
    _ = try SharedFixture.c("void nobody(void); void g(void) { nobody(); }")
      .build("bad", in: folder)
    _ = try SharedFixture.c("int main(void) { return 0; }", flags: ["-pie"]).build(
      "program", in: folder)
    try folder.write("text", to: "readme.so")
    try FileManager.default.createSymbolicLink(
      atPath: folder.path("alias.so"), withDestinationPath: folder.path("sub/deep/good.so"))
    let table = folder.path("table.md")
    let (code, results) = try AgainstResult.of([folder.root], ["--table", table])
    #expect(code == 5)
    #expect(
      results.map(\.library) == [folder.path("bad.so"), folder.path("sub/deep/good.so")])
    let text = String(decoding: folder.bytes("table.md"), as: UTF8.self)
    #expect(text.contains("| shared objects | 2 |"))
    #expect(text.contains("| dlopen loads | 1 |"))
    #expect(text.contains("| we load of those | 1 (100.0 %) |"))
    #expect(text.contains("## Not loaded by dlopen: 1\n"))
    #expect(text.contains("| undefined symbol | 1 |\n"))
    let people = try Tool.hotlink(["check", "--against", "dlopen", folder.root])
    #expect(people.stdout.contains("[1/2] "))
    #expect(people.stdout.contains("2 files: dlopen loads 1, we load 1 of them (100.0 %); "))
  }
}

// Archives in a link: which members come in, and in which order, is what ld takes between --start-group and
// --end-group.
import Foundation
import Testing

@Suite struct ArchiveLinkTests {
  /// Objects by name, archives of them, and a program of the rest.
  private func expectSame(
    _ sources: [(name: String, text: String)], archives: [(name: String, members: [String])],
    files: [String], thin: Bool = false, runFlags: [String] = [], linkFlags: [String]? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    let folder = try TemporaryFolder()
    for source in sources {
      _ = try Compiler.gcc.object(source.text, source.name, flags: ["-fcommon"], in: folder)
    }
    for archive in archives {
      try Tool.output(
        "ar", [thin ? "rcsT" : "rcs", archive.name] + archive.members.map { $0 + ".o" },
        directory: folder.root)
    }
    let link = linkFlags ?? ["-Wl,--start-group"] + files + ["-Wl,--end-group"]
    try Tool.output("gcc", link + ["-o", "program"], directory: folder.root)
    let expected = try Tool.run(folder.path("program"))
    let found = try Tool.hotlink(
      ["run"] + (runFlags.isEmpty ? files : runFlags), directory: folder.root)
    #expect(found.end == expected.end, "\(found.stderr)", sourceLocation: sourceLocation)
    #expect(found.stdout == expected.stdout, sourceLocation: sourceLocation)
    return found.stdout
  }

  private func speaking(_ name: String, _ rest: String = "") -> (name: String, text: String) {
    (
      name,
      """
      #include <stdio.h>
      __attribute__((constructor)) static void say(void) { puts("\(name) is in"); }
      \(rest)
      """
    )
  }

  @Test func membersOfArchivesThatNeedEachOther() throws {
    let output = try expectSame(
      [
        speaking("main", "int a1(void); int main(void) { return a1(); }"),
        speaking("a1", "int b1(void); int a1(void) { return b1() + 1; }"),
        speaking("a2", "int b2(void); int a2(void) { return b2() + 1; }"),
        speaking("a3", "int a3(void) { return 1; }"),
        speaking("a4", "int nobody_asks(void) { return 1; }"),
        speaking("b1", "int a2(void); int b1(void) { return a2() + 1; }"),
        speaking("b2", "int a3(void); int b2(void) { return a3() + 1; }"),
      ],
      archives: [
        ("liba.a", ["a4", "a3", "a2", "a1"]), ("libb.a", ["b2", "b1"]),
      ], files: ["main.o", "liba.a", "libb.a"])
    #expect(output.contains("a3 is in") && !output.contains("a4 is in"))
  }

  @Test func thinArchivesWithLongNames() throws {
    let long = "a_member_whose_name_does_not_fit_into_the_header_of_an_archive"
    let output = try expectSame(
      [
        speaking("main", "int f(void); int main(void) { return f(); }"),
        speaking(long, "int f(void) { return 3; }"),
      ], archives: [("libthin.a", [long])], files: ["main.o", "libthin.a"], thin: true)
    #expect(output.contains(long))
  }

  @Test func commonSymbolsBringTheirDefinition() throws {
    let output = try expectSame(
      [
        speaking("main", "int shared; int main(void) { return shared; }"),
        speaking("other", "int shared;"), speaking("definition", "int shared = 9;"),
      ], archives: [("libc1.a", ["other", "definition"])], files: ["main.o", "libc1.a"])
    #expect(output.contains("definition is in") && !output.contains("other is in"))
  }

  @Test func mainMayStandInAnArchive() throws {
    _ = try expectSame(
      [
        speaking("main", "int f(void); int main(void) { return f(); }"),
        speaking("f", "int f(void) { return 4; }"), speaking("g", "int g(void) { return 4; }"),
      ], archives: [("liball.a", ["g", "f", "main"])], files: ["liball.a"])
  }

  @Test func wholeArchivesByPosition() throws {
    let sources = [
      speaking("main", "int main(void) { return 0; }"), speaking("a"), speaking("b"),
      speaking("c"),
    ]
    let archives = [
      (name: "liba.a", members: ["a"]), (name: "libb.a", members: ["b"]),
      (name: "libc.a", members: ["c"]),
    ]
    let line = ["liba.a", "--whole-archive", "libb.a", "--no-whole-archive", "libc.a"]
    let output = try expectSame(
      sources, archives: archives, files: [], runFlags: ["main.o"] + line,
      linkFlags: ["main.o"] + line.map { $0.hasPrefix("--") ? "-Wl,\($0)" : "./" + $0 })
    #expect(output == "main is in\nb is in\n")
  }

  @Test func membersOfOneNameAreTwo() throws {
    let folder = try TemporaryFolder()
    _ = try Compiler.gcc.object(
      "int f(void), g(void); int main(void) { return f() + g(); }", "main", in: folder)
    for (name, text) in [("f", "int f(void) { return 1; }"), ("g", "int g(void) { return 2; }")] {
      try FileManager.default.createDirectory(
        atPath: folder.path(name), withIntermediateDirectories: true)
      _ = try Compiler.gcc.object(text, "\(name)/same", in: folder)
    }
    try Tool.output(
      "ar", ["qc", "libsame.a", "f/same.o", "g/same.o"], directory: folder.root)
    #expect(
      try Tool.hotlink(["run", "main.o", "libsame.a"], directory: folder.root).end == .exited(3))
  }
}

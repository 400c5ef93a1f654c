// `hotlink doctor`: on real objects of real compilers, what will hurt is found, and what will not is left alone.
import Foundation
import Testing

@Suite("doctor")
struct DoctorTests {
  static let clean = ["-g", "-fPIC", "-ffunction-sections", "-fdata-sections"]
  static let two = "int a = 1, b = 2;\nint f(void) { return a; }\nint g(void) { return b; }\n"

  struct Report: Decodable {
    struct Finding: Decodable {
      var severity: String
      var code: String
      var place: String
      var others: Int
      var what: String
      var why: String
      var help: String
    }
    var ok: Bool
    var units: Int
    var findings: [Finding]
  }

  private func doctor(_ path: String, _ folder: TemporaryFolder) throws -> (
    code: Int32?, report: Report
  ) {
    let outcome = try Tool.hotlink(["doctor", path, "--json"], directory: folder.root)
    return (outcome.code, try JSONDecoder().decode(Report.self, from: Data(outcome.output)))
  }

  @Test("The example of this project is clean")
  func example() throws {
    let folder = try TemporaryFolder()
    var root = URL(filePath: #filePath)
    for _ in 0..<3 { root.deleteLastPathComponent() }
    try Tool.output(
      "cp", ["-r", root.appending(path: "Examples/hot-plugin").path, folder.path("example")])
    try Tool.output("make", ["-C", folder.path("example")], timeout: 300)
    let (code, report) = try doctor("example/build", folder)
    #expect(code == 0 && report.ok && report.units == 6)
    #expect(report.findings.filter { $0.severity == "hurts" }.map(\.code) == [])
  }

  @Test(
    "What a flag leaves behind",
    arguments: [
      ("gcc", ["-g", "-fPIC"], ["no-data-sections", "no-function-sections"]),
      ("gcc", ["-fPIC", "-ffunction-sections", "-fdata-sections"], ["no-debug-data"]),
      ("clang", ["-fPIC", "-ffunction-sections", "-fdata-sections"], ["no-debug-data"]),
      ("gcc", clean + ["-flto"], ["lto"]), ("clang", clean + ["-flto"], ["lto"]),
      ("gcc", clean + ["-flto", "-ffat-lto-objects"], ["lto"]),
      ("gcc", clean + ["-fmerge-all-constants"], ["merged-constants"]),
      ("gcc", clean + ["-fwhole-program"], ["whole-program"]),
      ("gcc", clean + ["-fsanitize=address"], ["sanitizer"]),
      ("clang", clean + ["-fmerge-all-constants", "-grecord-command-line"], ["merged-constants"]),
      (
        "gcc", ["-g", "-fno-pic", "-fno-pie", "-ffunction-sections", "-fdata-sections"],
        ["not-position-independent"]
      ),
      ("gcc", clean, []), ("clang", clean, []), ("gcc", clean + ["-O2"], []),
      ("clang", clean + ["-O2"], []), ("gcc", clean + ["-gdwarf-4"], []),
    ])
  func flags(_ compiler: String, _ flags: [String], _ codes: [String]) throws {
    let folder = try TemporaryFolder()
    try folder.write(Self.two.replacing("return a;", with: "return (int)(long)&a;"), to: "two.c")
    try Tool.output(compiler, flags + ["-c", "two.c", "-o", "two.o"], directory: folder.root)
    let (code, report) = try doctor("two.o", folder)
    let found = Set(report.findings.filter { $0.severity == "hurts" }.map(\.code)).sorted()
    #expect(codes.allSatisfy { found.contains($0) }, "\(report.findings.map(\.what))")
    // -fwhole-program drops what nobody calls, and slim objects of -flto have no code.
    if !codes.contains("whole-program") && !codes.contains("lto") && !codes.contains("sanitizer") {
      #expect(found == codes)
    }
    #expect(code == (codes.isEmpty ? 0 : 1) && report.ok == codes.isEmpty)
    #expect(report.findings.allSatisfy { !$0.why.isEmpty && !$0.help.isEmpty && !$0.place.isEmpty })
  }

  @Test("Older than its source, writable by others, damaged, mixed, mangled hooks")
  func files() throws {
    let folder = try TemporaryFolder()
    try folder.write(Self.two, to: "two.c")
    try folder.write("#include \"h.h\"\nint x = H;\n", to: "inc.c")
    try folder.write("#define H 3\n", to: "h.h")
    try folder.write("void hotlink_after_reload() {}\n", to: "hook.cpp")
    for (compiler, source, name) in [
      ("gcc", "two.c", "a"), ("clang", "two.c", "b"), ("g++", "hook.cpp", "hook"),
      ("gcc", "inc.c", "inc"),
    ] {
      let object = "build/\(name).o"
      try FileManager.default.createDirectory(
        atPath: folder.path("build"), withIntermediateDirectories: true)
      try Tool.output(
        compiler, Self.clean + ["-c", "-MD", source, "-o", object], directory: folder.root)
    }
    let before = try doctor("build", folder).report.findings
    #expect(Set(before.map(\.code)) == ["mixed-compilers", "mangled-hook"])
    #expect(before.first { $0.code == "mixed-compilers" }?.severity == "note")
    try Tool.output("touch", ["-d", "2035-01-01", folder.path("h.h")])
    try Tool.output("chmod", ["o+w", folder.path("build/a.o")])
    try folder.write(Array(folder.bytes("build/b.o").prefix(300)), to: "build/cut.o")
    let after = try doctor("build", folder).report.findings
    func place(_ code: String) -> String? { after.first { $0.code == code }?.place }
    #expect(place("older-than-source") == "build/inc.o", "a header, by its .d file")
    #expect(place("writable-by-others") == "build/a.o" && place("unreadable") == "build/cut.o")
    try Tool.output("touch", ["-d", "2035-01-01", folder.path("two.c")])
    let late = try doctor("build", folder).report.findings.filter { $0.code == "older-than-source" }
    #expect(late.map { $0.others + 1 }.reduce(0, +) == 3, "by debug data")
  }

  @Test("For people; nothing there; no such place")
  func words() throws {
    let folder = try TemporaryFolder()
    try folder.write("int f(void) { return 1; }\n", to: "one.c")
    try Tool.output("gcc", ["-c", "-fPIC", "one.c"], directory: folder.root)
    let outcome = try Tool.hotlink(["doctor", "one.o"], directory: folder.root)
    #expect(outcome.code == 1)
    #expect(
      outcome.stdout == """
        will hurt: no debug data [no-debug-data]
          in one.o
          why: a changed struct or signature is not noticed, and reports and debuggers know no lines
          help: compile with -g
        1 file, 1 unit: 1 finding that will hurt

        """)
    let empty = try TemporaryFolder()
    let none = try Tool.hotlink(["doctor"], directory: empty.root)
    #expect(none.code == 0 && none.stdout.contains("[no-objects]"))
    let missing = try Tool.hotlink(["doctor", "nowhere"], directory: empty.root)
    #expect(missing.code == 2 && missing.stderr == "error: no such file or directory: nowhere\n")
  }

  @Test("Archives and shared objects")
  func containers() throws {
    let folder = try TemporaryFolder()
    try folder.write(Self.two, to: "two.c")
    try Tool.output(
      "gcc", ["-c", "-fPIC", "-ffunction-sections", "-fdata-sections", "two.c"],
      directory: folder.root)
    try Tool.output("ar", ["rcs", "libtwo.a", "two.o"], directory: folder.root)
    try Tool.output(
      "gcc", ["-shared", "-g", "-fPIC", "two.c", "-o", "libtwo.so"], directory: folder.root)
    let archive = try doctor("libtwo.a", folder)
    #expect(archive.code == 1 && archive.report.findings.first?.place == "libtwo.a(two.o)")
    #expect(try doctor("libtwo.so", folder).code == 0)
  }
}

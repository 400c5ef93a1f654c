// What the objects of a build say about how they were compiled, and which of that will hurt.
import Foundation
import HotLink
import LoaderEngine
import SystemPackage

struct ObjectFindings {
  private(set) var findings: [Finding] = []
  private(set) var units = 0
  /// Bytes of all files.
  private(set) var size: UInt64 = 0
  /// Compilers by language, and the first file of each.
  private var compilers: [String: [String: String]] = [:]
  private let database: CompilationDatabase

  init(_ paths: [String], _ database: CompilationDatabase) {
    self.database = database
    for path in paths { examine(path) }
    compareCompilers()
  }

  private mutating func examine(_ path: String) {
    var facts = stat()
    if stat(path, &facts) == 0 { size += UInt64(max(facts.st_size, 0)) }
    let units: [UnitFacts]
    do {
      units = try UnitFacts.read(FilePath(path))
    } catch {
      let what = Messages.line(error).split(separator: ";").first.map(String.init) ?? ""
      let isIntermediate = what.contains("LTO") || what.contains("bitcode")
      return add(
        .hurts, isIntermediate ? "lto" : "unreadable", path, what,
        isIntermediate
          ? "there is no machine code in it that could be linked" : "it cannot be linked",
        isIntermediate ? "compile without -flto" : "build it again, or keep it out of the directory"
      )
    }
    self.units += units.count
    for unit in units { examine(unit) }
    let debug = CompilerFacts(of: path)
    var flags = Flags(units.map(\.commandLine).joined(separator: " "))
    for unit in debug.units {
      flags.add(unit.producer)
      compareTimes(unit.source, facts.st_mtim, path)
      note(unit.producer, language: ObjectFindings.language(unit.language), path)
    }
    if debug.units.isEmpty {
      for compiler in Set(units.flatMap(\.compilers)) { note(compiler, language: "code", path) }
    }
    flags.add(database.command(for: path))
    examine(flags, path)
    for source in Dependencies.sources(of: path)
    where !debug.units.contains(where: { $0.source == source }) {
      compareTimes(source, facts.st_mtim, path)
    }
    examine(mode: facts, path)
  }

  private mutating func examine(_ unit: UnitFacts) {
    if unit.hasIntermediateCode {
      add(
        .hurts, "lto", unit.name, "compiled with -flto",
        "what the linker would optimise is not what is reloaded: functions may differ from the final program",
        "compile without -flto while you work")
    }
    if !unit.hasDebugData, unit.functions + unit.variables > 0 || unit.isLibrary {
      add(
        .hurts, "no-debug-data", unit.name, "no debug data",
        "a changed struct or signature is not noticed, and reports and debuggers know no lines",
        "compile with -g")
    }
    if unit.lacksTypes {
      add(
        .hurts, "no-type-data", unit.name, "debug data without types",
        "a changed struct or signature is not noticed", "compile with -g, not with -g1")
    }
    if unit.hasSplitDebugData {
      add(
        .hurts, "split-debug-data", unit.name, "debug data in another file",
        "a changed struct or signature is not noticed", "compile without -gsplit-dwarf")
    }
    if unit.sharesText {
      add(
        .hurts, "no-function-sections", unit.name, "functions share a section",
        "addresses of static functions taken inside it cannot all be led to new code",
        "compile with -ffunction-sections")
    }
    if unit.sharesData {
      add(
        .hurts, "no-data-sections", unit.name, "variables share a section",
        "one cannot grow or move without the others: more reloads are refused",
        "compile with -fdata-sections")
    }
    if unit.absoluteReferences > 0 {
      add(
        .hurts, "not-position-independent", unit.name,
        "code for fixed addresses (\(unit.absoluteReferences) references of 32 bits)",
        "all of the program must lie below 2 GiB, away from the libraries of the process",
        "compile with -fPIC, not with -fno-pie or -mcmodel=kernel")
    }
    for hook in unit.mangledHooks {
      add(
        .hurts, "mangled-hook", unit.name, "hook with C++ linkage: \(ReadableName.of(hook))",
        "hooks are found by their plain name, so it is never called",
        "declare it extern \"C\"")
    }
  }

  private mutating func examine(_ flags: Flags, _ path: String) {
    for rule in Flags.harmful where flags.has(rule.flag) {
      add(.hurts, rule.code, path, "compiled with \(rule.flag)", rule.why, rule.help)
    }
  }

  /// A source that is newer than what was made of it.
  private mutating func compareTimes(_ source: String, _ made: timespec, _ path: String) {
    var facts = stat()
    guard !source.isEmpty, stat(source, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
      return
    }
    let isNewer =
      (facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec) > (made.tv_sec, made.tv_nsec)
    guard isNewer else { return }
    add(
      .hurts, "older-than-source", path, "older than its source \(source)",
      "what runs is not what the source says", "build it again")
  }

  private mutating func examine(mode facts: stat, _ path: String) {
    if facts.st_uid != geteuid(), facts.st_uid != 0 {
      add(
        .hurts, "foreign-file", path, "belongs to another user",
        "whoever owns it decides what your program runs", "copy it, or change its owner")
    }
    let parent = URL(filePath: path).deletingLastPathComponent().path
    for place in [path, parent] {
      var facts = stat()
      guard stat(place, &facts) == 0, facts.st_mode & 0o002 != 0 else { continue }
      let isSticky = facts.st_mode & 0o1000 != 0 && facts.st_mode & S_IFMT == S_IFDIR
      guard !isSticky else { continue }
      add(
        .hurts, "writable-by-others", place, "everybody can write to it",
        "whoever can write it decides what your program runs", "chmod o-w \(place)")
    }
  }

  // MARK: compilers

  private mutating func note(_ producer: String, language: String, _ path: String) {
    // A Swift object tells of C modules that it imports: nothing of them was compiled.
    guard let name = Flags.compiler(of: producer),
      name.hasPrefix("swiftc") == (language == "Swift")
    else { return }
    if compilers[language]?[name] == nil { compilers[language, default: [:]][name] = path }
  }

  private mutating func compareCompilers() {
    for (language, found) in compilers.sorted(by: { $0.key < $1.key }) where found.count > 1 {
      let names = found.keys.sorted()
      add(
        .note, "mixed-compilers", names.compactMap { found[$0] }.joined(separator: ", "),
        "\(language) by \(names.joined(separator: " and "))",
        "inline functions and the order of members may differ between them",
        "use one compiler for a language")
    }
  }

  private static func language(_ number: Int) -> String {
    switch number {  // DWARF 5, table 7.17
    case 0x01, 0x02, 0x0C, 0x1D, 0x2C: "C"
    case 0x04, 0x1A, 0x21, 0x2B: "C++"
    case 0x1E: "Swift"
    case 0x1C: "Rust"
    default: "language \(number)"
    }
  }

  private mutating func add(
    _ severity: Finding.Severity, _ code: String, _ place: String, _ what: String, _ why: String,
    _ help: String
  ) {
    findings.append(
      Finding(severity: severity, code: code, place: place, what: what, why: why, help: help))
  }
}

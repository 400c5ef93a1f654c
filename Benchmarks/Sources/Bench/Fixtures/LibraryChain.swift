// Three shared libraries that need each other in a row, a → b → c, and nothing else: no libc, so that what
// is measured is loading and not the search for libraries. Linked by gcc with its usual crt files, whose four
// weak references every library on this system has.
internal import LoaderEngine
internal import SystemPackage

/// The files of a chain. The first library is the one to open.
struct LibraryChain {
  /// In the order a, b, c.
  let files: [Object]
  private static let letters = ["a", "b", "c"]

  /// What the libraries hold.
  enum Kind: String {
    /// One function each, which calls the next library's.
    case tiny
    /// 2,000 functions each, which call as many of the next library's (in the last: of its own) through
    /// the PLT; the first two have tables of the next one's functions. 6,000 JUMP_SLOT and 4,000 R_X86_64_64.
    case many
    /// Tables of 2,000 local functions each: 6,000 R_X86_64_RELATIVE.
    case relative
  }

  static let count = 2000

  /// Generates, compiles and links a chain.
  init(_ kind: Kind, _ fixtures: Fixtures) throws {
    let stem = "chain_\(kind.rawValue)_"
    let objects = try fixtures.objects(
      LibraryChain.letters.indices.map { (stem + LibraryChain.letters[$0], Self.source(kind, $0)) })
    var next: String?
    var files: [Object] = []
    for (letter, object) in zip(LibraryChain.letters, objects).reversed() {
      let name = "lib\(stem)\(letter).so"
      try fixtures.link(object, to: name, needing: next)
      next = name
      files.insert(try fixtures.file(name), at: 0)
    }
    self.files = files
  }

  /// The name of a function of a library: 13 characters.
  static func function(_ library: Int, _ number: Int) -> String {
    let digits = String(number)
    return "bench_\(letters[library])_"
      + String(repeating: "0", count: 5 - digits.count) + digits
  }

  private static func source(_ kind: Kind, _ library: Int) -> String {
    let isLast = library == letters.count - 1
    let own = "bench_tiny_\(letters[library])"
    switch kind {
    case .tiny:
      guard !isLast else { return "int \(own)(void) { return 1; }\n" }
      let next = "bench_tiny_\(letters[library + 1])"
      return "int \(next)(void);\nint \(own)(void) { return \(next)() + 1; }\n"
    case .many:
      let next = isLast ? library : library + 1
      var lines = (0..<count).map { "int \(function(next, $0))(int);" }
      for number in 0..<count {
        let callee = function(next, (number * 7 + 1) % count)
        lines.append(
          "int \(function(library, number))(int x) "
            + "{ return x < 1 ? \(library * count + number) : \(callee)(x - 1) + 1; }")
      }
      if !isLast {
        let names = (0..<count).map { function(next, $0) }.joined(separator: ", ")
        lines.append("int (*bench_table_\(letters[library])[])(int) = {\(names)};")
      }
      return lines.joined(separator: "\n") + "\n"
    case .relative:
      let next = isLast ? "" : "+ bench_sum_\(letters[library + 1])(x)"
      var lines = isLast ? [] : ["int bench_sum_\(letters[library + 1])(int);"]
      lines += (0..<count).map { "static int step_\($0)(int x) { return x + \($0); }" }
      let names = (0..<count).map { "step_\($0)" }.joined(separator: ", ")
      lines.append("static int (*steps[])(int) = {\(names)};")
      lines.append("int bench_count_\(letters[library]) = \(count);")
      lines.append(
        "int bench_sum_\(letters[library])(int x) "
          + "{ return steps[x % bench_count_\(letters[library])](x) \(next); }")
      return lines.joined(separator: "\n") + "\n"
    }
  }
}

extension Fixtures {
  /// Links a shared library into the folder, as `gcc -shared` does it, closed but for the next one.
  func link(_ object: Object, to name: String, needing next: String?) throws {
    guard let compiler = Subprocess.find("gcc") else { throw BenchError("no gcc in PATH") }
    let options = [
      "-shared", "-Wl,--as-needed", "-Wl,-rpath,$ORIGIN", "-Wl,-soname,\(name)", "-o",
      "\(folder)/\(name)", object.path,
    ]
    try Subprocess.run(compiler, options + (next.map { ["\(folder)/\($0)"] } ?? []))
  }
}

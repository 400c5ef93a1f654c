// LLVM's ORC, where its headers are installed (Debian: llvm-19-dev): `Benchmarks/peers/orc.cpp`, compiled once.
internal import Glibc

enum Orc {
  /// Versions that the program is written for, the preferred one first.
  private static let versions = [19, 18, 17]

  /// The program; nil, with a note, where ORC is not installed.
  static func program(_ fixtures: Fixtures) throws -> String? {
    let found = versions.first {
      access("/usr/lib/llvm-\($0)/include/llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h", R_OK) == 0
        && access("/usr/lib/llvm-\($0)/lib/libLLVM-\($0).so", R_OK) == 0
    }
    guard let version = found else {
      note("no LLVM ORC here: its figures are left out (Debian: llvm-19-dev)")
      return nil
    }
    let folder = "/usr/lib/llvm-\(version)"
    let program = "\(fixtures.folder)/orc-\(version)"
    let source = try fixtures.source("peers/orc.cpp")
    let copy = program + ".cpp"
    let text = try Fixtures.contents(of: source)
    if access(program, X_OK) != 0 || (try? Fixtures.contents(of: copy)) != text {
      guard let compiler = Subprocess.find("g++") else { throw BenchError("no g++ in PATH") }
      note("compiling \(source)")
      try Subprocess.run(
        compiler,
        [
          "-std=c++17", "-O2", "-fno-exceptions", "-fno-rtti", "-w", "-I\(folder)/include",
          "-D_GNU_SOURCE", source, "-o", program, "-L\(folder)/lib", "-lLLVM-\(version)",
          "-Wl,-rpath,\(folder)/lib",
        ])
      try Subprocess.run("/bin/cp", [source, copy])
    }
    return program
  }

  /// Writes what `orc` reads: lines of an object and a symbol of it.
  static func list(
    _ objects: [(path: String, symbol: String)], _ name: String, _ fixtures: Fixtures
  ) throws -> String {
    let path = "\(fixtures.folder)/\(name).list"
    try Fixtures.write(
      objects.map { "\($0.path) \($0.symbol)\n" }.joined(), to: path)
    return path
  }
}

// Shared objects and programs that tests build from a few lines: language, flags, and what they are linked with.
import Foundation

struct SharedFixture: Sendable {
  var compiler: String
  var suffix: String
  var source: String
  var flags: [String]

  static func c(_ source: String, flags: [String] = []) -> SharedFixture {
    SharedFixture(compiler: "gcc", suffix: "c", source: source, flags: flags)
  }

  static func cxx(_ source: String, flags: [String] = []) -> SharedFixture {
    SharedFixture(compiler: "g++", suffix: "cpp", source: source, flags: flags)
  }

  static func assembler(_ source: String, flags: [String] = []) -> SharedFixture {
    SharedFixture(
      compiler: "gcc", suffix: "s", source: source + "\n", flags: flags + ["-Wl,-z,noexecstack"])
  }

  /// Builds `NAME.so` in a folder; position-independent code, a program with `-pie`.
  ///
  /// - Returns: its path.
  func build(_ name: String = "fixture", in folder: TemporaryFolder) throws -> String {
    let input = try folder.write(source, to: "\(name).\(suffix)")
    let output = folder.path("\(name).so")
    let kind = flags.contains("-pie") ? ["-fPIE"] : ["-shared", "-fPIC"]
    try Tool.output(compiler, ["-O1"] + kind + ["-o", output, input] + flags)
    return output
  }
}

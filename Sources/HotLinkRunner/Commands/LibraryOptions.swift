// `-lNAME` and `-L DIRECTORY`, as linkers have them, for every verb that links. What only an archive has is
// linked from it. ld(1), -l.
import ArgumentParser
import Glibc

struct LibraryOptions: ParsableArguments {
  @Option(
    name: .customShort("l", allowingJoined: true),
    help: "Library to open in the process first, as for a linker: -lm, -l m, or a path.")
  var libraries: [String] = []

  @Option(
    name: .customShort("L", allowingJoined: true),
    help:
      "Directory to look for libraries in first; an archive is linked when it has no shared one.")
  var directories: [String] = []

  /// Shared libraries: a path for what the directories have, otherwise the name.
  var opened: [String] { libraries.map { found($0) ?? $0 }.filter { !$0.hasSuffix(".a") } }

  /// Archives that the directories have: they are linked behind the files.
  var archives: [InputFiles.File] {
    libraries.compactMap(found).filter { $0.hasSuffix(".a") }.map {
      InputFiles.File(path: $0, isWhole: false)
    }
  }

  /// ld(1), -l: in each directory the shared library goes before the archive.
  private func found(_ name: String) -> String? {
    if name.hasPrefix(":") { return first([String(name.dropFirst())]) }
    return name.contains("/") ? nil : first(["lib\(name).so", "lib\(name).a"])
  }

  private func first(_ names: [String]) -> String? {
    for directory in directories {
      for name in names where access("\(directory)/\(name)", R_OK) == 0 {
        return "\(directory)/\(name)"
      }
    }
    return nil
  }
}

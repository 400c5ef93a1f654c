// Objects by the thousand: one is compiled, the others are its bytes with other names in them.
import Foundation

/// Copies of an object.
struct GeneratedObjects {
  /// The paths of `count` objects made of one source: in the source, `NNNNN` is an object's number in five
  /// digits, and `MMMMM` the next one's.
  static func make(
    _ count: Int, of source: String, compiler: Compiler = .gcc, flags: [String] = [],
    _ name: String,
    in folder: TemporaryFolder
  ) throws -> [String] {
    let template = try Data(
      contentsOf: URL(filePath: compiler.object(source, name, flags: flags, in: folder)))
    let own = places(of: "NNNNN", in: template)
    let next = places(of: "MMMMM", in: template)
    return try (0..<count).map { index in
      var bytes = template
      for place in own { bytes.replaceSubrange(place, with: digits(index)) }
      for place in next { bytes.replaceSubrange(place, with: digits(index + 1)) }
      let path = folder.path("\(name)-\(index).o")
      try bytes.write(to: URL(filePath: path))
      return path
    }
  }

  private static func digits(_ number: Int) -> Data {
    Data(String(100_000 + number).dropFirst().utf8)
  }

  private static func places(of mark: String, in bytes: Data) -> [Range<Data.Index>] {
    var found: [Range<Data.Index>] = []
    var from = bytes.startIndex
    while let range = bytes.range(of: Data(mark.utf8), in: from..<bytes.endIndex) {
      found.append(range)
      from = range.upperBound
    }
    return found
  }
}

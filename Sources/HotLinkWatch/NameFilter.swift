// Most events of a build concern files nobody reloads (.d, .tmp, editors' swap files). They are told
// apart by the bytes of their name, before anything is allocated for them.
import SystemPackage

/// Decides by its last extension whether a file is watched.
struct NameFilter {
  private let extensions: [[UInt8]]

  /// - Parameter extensions: with or without their dot.
  init(_ extensions: Set<String>) {
    self.extensions = extensions.map { Array($0.utf8.drop { $0 == UInt8(ascii: ".") }) }
  }

  /// `.o` itself is a hidden file without extension.
  func accepts(_ name: some BidirectionalCollection<UInt8>) -> Bool {
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot != name.startIndex else {
      return false
    }
    let suffix = name[name.index(after: dot)...]
    return extensions.contains { $0.elementsEqual(suffix) }
  }
}

// Images that were forged on purpose, and what must come of each: for claims that a flipped bit does not make.
// Verdicts are text, because they come out of a child process.
import CLoaderSupport
import Foundation
import Glibc
import LoaderEngine
import TestFixtures

/// One forged image.
struct Forgery: Sendable {
  var name: String
  /// How its verdict may begin.
  var expected: [String]
  var isLazy = false
  var make: @Sendable () -> [UInt8]

  init(
    _ name: String, _ expected: String..., isLazy: Bool = false,
    as change: @escaping @Sendable (inout MadeImage) -> Void
  ) {
    self.init(name, expected, isLazy: isLazy) {
      var image = MadeImage()
      image.define("run")
      change(&image)
      return image.bytes()
    }
  }

  init(
    _ name: String, _ expected: [String], isLazy: Bool = false,
    make: @escaping @Sendable () -> [UInt8]
  ) {
    self.name = name
    self.expected = expected
    self.isLazy = isLazy
    self.make = make
  }

  static var all: [Forgery] {
    headers + segments + dynamicSections + hashTables + symbols + versions + relocations + lazy
      + compact + threadLocal + unwinding + initialisers
  }

  static let file = "forged.so"
  static let outside: UInt64 = 0x90_0000
}

/// Loads forged images in a child process, and says what came of it.
struct ForgeryTrial {
  private let trial: ImageTrial

  init(_ progress: RunProgress, room: Int) throws {
    trial = try ImageTrial(progress, room: room, isExecutable: false)
  }

  /// - Throws: when the loader has done damage.
  func verdict(_ forgery: Forgery) throws -> String {
    let bytes = forgery.make()
    // Between guards, by every mapper, asked everything; resolvers are all code of the image's own.
    _ = try trial.run(bytes, runsResolvers: true)
    let source = ImageSource(FileContents(bytes), name: Forgery.file)
    _ = try? ImageScan(source)
    let context = LinkContext()
    var options = ImageOptions()
    options.binding = forgery.isLazy ? .lazy : .now
    do throws(LinkError) {
      let image = try context.loadLibrary(source, options: options)
      guard image.address(of: "nobody_has_this") == nil else { return "found what is not there" }
      if let soname = image.soname { return "named \(soname)" }
      guard let run = image.address(of: "run") else { return "loaded" }
      guard run == image.range.start &+ MadeImage.text else { return "run is at \(run)" }
      return (try? image.call("run")) == Int(run.value) ? "run" : "run fails"
    } catch {
      let file = error.file == Forgery.file ? "" : " of another file: \(error.file)"
      return ForgeryTrial.describe(error.reason) + file
    }
  }

  private static func describe(_ reason: LinkError.Reason) -> String {
    switch reason {
    case .notELF: "notELF"
    case .malformed(let structure, let offset, let detail):
      "malformed \(structure) @\(String(offset, radix: 16)) \(detail)"
    case .otherMachine(let found, _): "otherMachine \(found)"
    case .unsupported(let what, _): "unsupported \(what)"
    case .undefined(let symbols): "undefined \(symbols.map(\.name))"
    case .overflow(let site, let symbol, _):
      "overflow \(site.relocation) @\(String(site.offset, radix: 16)) \(symbol)"
    case .missingVersion(let version, _): "missingVersion \(version)"
    case .noSpace(let what, let requested): "noSpace \(what) \(requested)"
    case .system(let error): "system \(error.call)"
    default: "\(reason)"
    }
  }
}

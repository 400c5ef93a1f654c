// `hotlink check LIB…` for shared objects and executables: loads each without running any of its code, and tells
// what came out: segments, relocations by type, and where everything it needs came from. What ldd -r and readelf
// tell together.
import ArgumentParser
import HotLink
import LoaderEngine
import SystemPackage

/// Loads images and sums them up.
struct ImageCheck {
  let json: Bool
  /// A symbol that must be defined.
  let entry: String?

  /// Whether a file is one to be loaded, rather than linked.
  static func isImage(_ file: String) -> Bool {
    guard let source = try? ImageSource(opening: FilePath(file)) else { return false }
    let count = Int(min(source.size, 64))
    let start = try? FileContents(filling: count) { (place) throws(LinkError) in
      try source.read(at: 0, into: place, count: count)
    }
    guard let start else { return false }
    switch Identification.kind(of: Bytes(start)) {
    case .sharedObject, .executable: return true
    case .object, .core, .archive, .thinArchive, .llvmBitcode, .otherMachine, .unknown: return false
    }
  }

  /// - Throws: `LinkError` for the first that cannot be loaded.
  func run(_ files: [String]) throws(LinkError) {
    for file in files {
      let scan = try ImageScan(ImageSource(opening: FilePath(file)))
      let before = Set(LinkContext.processImages.map(\.name))
      var options = LinkContext.Options()
      options.runsInitialisers = false
      let context = LinkContext(options)
      let image = try context.load(scan)
      if let entry, image.address(of: entry) == nil {
        throw LinkError(
          file: file,
          .undefined([LinkError.UndefinedSymbol(name: entry, sites: [], references: 1)]))
      }
      let origins = scan.needed.map { Origin($0, in: context, before) }
      if json { emit(scan, image, origins) } else { print(scan, image, origins) }
    }
  }

  /// Where something that an image needs came from.
  private struct Origin {
    enum Place: String {
      /// The process had it.
      case process
      /// The process's own loader opened it.
      case opened
      /// Loaded from a file by us.
      case file
    }

    var name: String
    var path: String?
    var place: Place?

    init(_ name: String, in context: LinkContext, _ before: Set<String>) {
      self.name = name
      if let own = context.images.first(where: { $0.isCalled(name) }) {
        path = own.name
        place = .file
      } else if let other = LinkContext.adopt(named: name) {
        path = other.name
        place = before.contains(other.name) ? .process : .opened
      }
    }
  }

  private func emit(_ scan: ImageScan, _ image: Image, _ origins: [Origin]) {
    Reporter(json: true).emit([
      ("ok", .bool(true)), ("library", .string(image.name)), ("kind", .string(scan.kind.text)),
      ("soname", scan.soname.map { .string($0) } ?? .null),
      ("interpreter", scan.interpreter.map { .string($0) } ?? .null),
      ("build_id", scan.buildID.map { .string(Messages.bytes($0)) } ?? .null),
      ("flags", .strings(scan.flags)), ("exports", .count(scan.exports.count)),
      ("imports", .count(scan.imports.count)),
      (
        "segments",
        .array(
          image.segments.map {
            .object([
              ("address", .unsigned($0.range.start.value)), ("size", .unsigned($0.range.size)),
              ("access", .string($0.access.text)),
            ])
          })
      ),
      (
        "relocations",
        .object(scan.relocations.sorted { $0.key < $1.key }.map { ($0.key, .count($0.value)) })
      ),
      (
        "needed",
        .array(
          origins.map {
            .object([
              ("name", .string($0.name)), ("path", $0.path.map { .string($0) } ?? .null),
              ("origin", $0.place.map { .string($0.rawValue) } ?? .null),
            ])
          })
      ),
      ("relocated", .count(image.relocationCount)),
    ])
  }

  private func print(_ scan: ImageScan, _ image: Image, _ origins: [Origin]) {
    Swift.print("\(image.name): \(scan.kind.text)")
    func row(_ words: String...) { Swift.print(words.joined(separator: "\t")) }
    if let soname = scan.soname { row("soname", soname) }
    if let interpreter = scan.interpreter { row("interpreter", interpreter) }
    if let id = scan.buildID { row("build id", Messages.bytes(id)) }
    if !scan.flags.isEmpty { row("flags", scan.flags.joined(separator: " ")) }
    for segment in image.segments {
      row(
        "segment", Messages.hex(segment.range.start.value), "\(segment.range.size)",
        segment.access.text)
    }
    for (type, count) in scan.relocations.sorted(by: { $0.key < $1.key }) {
      row("relocations", type, "\(count)")
    }
    for origin in origins {
      row("needs", origin.name, origin.path ?? "provided", origin.place?.rawValue ?? "")
    }
    row("symbols", "\(scan.exports.count) defined", "\(scan.imports.count) needed")
    Swift.print("\(image.relocationCount) relocations applied")
  }
}

extension Image {
  fileprivate func isCalled(_ name: String) -> Bool {
    soname == name || self.name == name || self.name.hasSuffix("/" + name)
  }
}

extension ImageScan {
  /// What its dynamic section and its notes say of it, in their own words.
  fileprivate var flags: [String] {
    let all: [(Bool, String)] = [
      (bindsNow, "BIND_NOW"), (isSymbolic, "SYMBOLIC"), (relocatesText, "TEXTREL"),
      (hasStaticTLS, "STATIC_TLS"), (kind == .positionIndependentExecutable, "PIE"),
      (tracksIndirectBranches, "IBT"), (usesShadowStack, "SHSTK"),
      (!readOnlyAfterRelocation.isEmpty, "RELRO"), (wantsExecutableStack, "EXECSTACK"),
    ]
    return all.filter(\.0).map(\.1)
  }
}

extension ImageScan.Kind {
  fileprivate var text: String {
    switch self {
    case .sharedObject: "shared object"
    case .positionIndependentExecutable: "position-independent executable"
    case .executable: "executable"
    }
  }
}

extension SegmentAccess {
  fileprivate var text: String {
    (contains(.read) ? "r" : "-") + (contains(.write) ? "w" : "-")
      + (contains(.execute) ? "x" : "-")
  }
}

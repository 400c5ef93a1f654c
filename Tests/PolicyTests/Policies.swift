// The architecture of DESIGN sections 1 and 2 and of the house style as tables, and the rules that hold
// the sources against them. A rule is a function from files to violations, so that it can be tested
// on files made up for it.

/// One place that breaks a rule, and the way out.
struct Violation: Equatable, CustomStringConvertible {
  var path: String
  var line: Int
  var what: String
  var remedy: String

  var description: String { "\(path):\(line): \(what). \(remedy)" }
}

/// A violation that was looked at and let stand. Aim: none. One that is no longer needed fails the test.
struct PolicyException {
  var rule: Policy
  var path: String
  var reason: String
}

enum Policy: String, CaseIterable {
  case imports, rooms, unsafePlaces, sizes, forbidden, doors

  static let exceptions: [PolicyException] = []

  /// The violations that no exception covers, and the exceptions that cover none.
  func findings(
    in tree: SourceTree, exceptions: [PolicyException] = Policy.exceptions
  ) -> [String] {
    let excepted = Set(exceptions.filter { $0.rule == self }.map(\.path))
    let violations = violations(in: tree)
    let stale = excepted.subtracting(violations.map(\.path)).sorted()
    return violations.filter { !excepted.contains($0.path) }.map(\.description)
      + stale.map { "\($0): needs no exception from \(self) any more. Delete it." }
  }

  func violations(in tree: SourceTree) -> [Violation] {
    switch self {
    case .imports: Policy.wrongImports(tree.sources)
    case .rooms: Policy.wrongRooms(tree.sources)
    case .unsafePlaces: Policy.unsafeOutsideHomes(tree.sources)
    case .sizes: Policy.largeFiles(tree.sources)
    case .forbidden: Policy.forbiddenWords(tree.sources)
    case .doors: Policy.missingDoors(tree.sources)
    }
  }

  // MARK: Imports: arrows never point up

  /// What the Swift files of a target may import; nil: anything.
  static let importsAllowed: [String: Set<String>?] = [
    "LoaderEngine": [
      "CLoaderSupport", "CLibElf", "CZydis", "SystemPackage", "Glibc", "Synchronization",
    ],
    "HotLink": [
      "LoaderEngine", "CLoaderSupport", "CLibDW", "Logging", "SystemPackage", "Glibc",
      "Synchronization",
    ],
    "HotLinkWatch": [
      "HotLink", "CInotifyTools", "CLoaderSupport", "SystemPackage", "Glibc", "Synchronization",
    ],
    "HotLinkRunner": nil,
  ]

  static func wrongImports(_ files: [SourceFile]) -> [Violation] {
    files.filter(\.isSwift).flatMap { file -> [Violation] in
      guard let target = file.target, let allowed = importsAllowed[target] else {
        return [
          Violation(
            path: file.path, line: 1, what: "no target of this name is known",
            remedy: "Give it a row in Policy.importsAllowed and an arrow in DESIGN section 1.")
        ]
      }
      guard let allowed else { return [] }
      return file.swift.imports.filter { !allowed.contains($0.module) }.map {
        Violation(
          path: file.path, line: $0.line, what: "\(target) imports \($0.module)",
          remedy: "It may import \(allowed.sorted().joined(separator: ", ")); "
            + "move the code up to a target that may, or do without.")
      }
    }
  }

  // MARK: Rooms: a room names only rooms before it

  /// The rooms of LoaderEngine, each after those it may name. The flow files at the top come last.
  static let roomOrder = [
    "Addresses", "Diagnostics", "Threads", "ELF", "Memory", "Relocation", "Architecture",
    "Execution", "Symbols", "Host",
    "Image", "JIT", "Debugging", "Plan", "Context", "Comparison",
  ]

  static func wrongRooms(_ files: [SourceFile]) -> [Violation] {
    let engine = files.filter { $0.isSwift && $0.target == "LoaderEngine" }
    var home: [String: (rank: Int, place: String)] = [:]
    for file in engine {
      for type in file.swift.declarations where type.depth == 0 && !type.isPrivate {
        home[type.name] = (rank(of: file), "\(file.path):\(type.line)")
      }
    }
    return engine.flatMap { file -> [Violation] in
      guard file.room.map(roomOrder.contains) ?? true else {
        return [
          Violation(
            path: file.path, line: 1, what: "no room of this name is known",
            remedy:
              "Put the file into a room of Policy.roomOrder, or add the room there and to DESIGN.")
        ]
      }
      let own = Set(file.swift.declarations.map(\.name))
      var seen: Set<String> = []
      return file.swift.places.compactMap { place in
        guard case .word(let name) = place.token, !place.isMember, !own.contains(name),
          let other = home[name], other.rank > rank(of: file), seen.insert(name).inserted
        else { return nil }
        return Violation(
          path: file.path, line: place.line,
          what: "room \(file.room ?? "-") names \(name), which a later room declares "
            + "(\(other.place))",
          remedy: "Move one of them, or take a value of an earlier room instead.")
      }
    }
  }

  private static func rank(of file: SourceFile) -> Int {
    file.room.flatMap(roomOrder.firstIndex) ?? roomOrder.count
  }

  // MARK: Unsafe code has few homes

  /// Folders and files that may hold raw pointers.
  static let unsafeHomes: [(path: String, why: String)] = [
    ("Sources/LoaderEngine/Addresses/", "pointers become numbers and back"),
    ("Sources/LoaderEngine/Threads/", "hands work to pthreads"),
    ("Sources/LoaderEngine/Memory/", "maps memory"),
    ("Sources/LoaderEngine/Execution/", "calls loaded code"),
    ("Sources/LoaderEngine/Host/", "reads the process's own images"),
    ("Sources/LoaderEngine/JIT/", "copies and fixes up code in the arena"),
    ("Sources/LoaderEngine/Debugging/", "writes images for debuggers and profilers"),
    ("Sources/LoaderEngine/Symbols/", "reads proven tables where they are; names in blocks"),
    ("Sources/LoaderEngine/Image/", "writes relocated words, reads proven tables"),
    ("Sources/LoaderEngine/Comparison/", "reads words that two loaders relocated"),
    ("Sources/LoaderEngine/ELF/SegmentView.swift", "proves tables of mapped images"),
    ("Sources/LoaderEngine/ELF/DynamicEntries.swift", "reads the section that was proven"),
    ("Sources/LoaderEngine/ELF/Bytes.swift", "the one reader of untrusted bytes"),
    ("Sources/LoaderEngine/ELF/FileContents.swift", "owns them"),
    ("Sources/LoaderEngine/ELF/FileBlock.swift", "memory that files share"),
    ("Sources/LoaderEngine/ELF/ImageSource.swift", "copies them to where they are mapped"),
    ("Sources/LoaderEngine/Relocation/RelocationRow.swift", "a field writes itself"),
    ("Sources/LoaderEngine/Architecture/", "stubs are instruction bytes"),
    ("Sources/HotLink/Debugging/LineTable.swift", "libdw speaks C"),
    ("Sources/HotLink/Layouts/DebugData.swift", "puts debug sections together"),
    ("Sources/HotLink/Layouts/DebugCursor.swift", "reads debug data, each read proven"),
    ("Sources/HotLink/Layouts/FieldMigration.swift", "carries members over"),
    ("Sources/HotLink/State/Replacement.swift", "writes variables at the safe point"),
    ("Sources/HotLink/Reload/GuardedLayouts.swift", "hands places in images on"),
    ("Sources/HotLink/Debugging/CompilerFacts.swift", "libdwfl speaks C"),
    ("Sources/HotLink/Libraries/", "redirects code, compares variables"),
    ("Sources/HotLink/State/Carry.swift", "compares and writes variables at the safe point"),
    ("Sources/HotLink/State/StateMove.swift", "copies variables to new places at the safe point"),
    ("Sources/HotLink/State/SplitVariables.swift", "compares parts of variables"),
    ("Sources/HotLink/State/StatePlan.swift", "hands places in images to the linker"),
    ("Sources/HotLink/Units/UnitVersion.swift", "keeps the first bytes of variables"),
    ("Sources/HotLink/BackgroundThread.swift", "pthread objects need a fixed address"),
    ("Sources/HotLink/Session.swift", "hands out C function pointers"),
    ("Sources/HotLinkWatch/", "libinotifytools speaks C"),
    ("Sources/HotLinkRunner/FrameLoop.swift", "calls the entry"),
  ]

  static func unsafeOutsideHomes(_ files: [SourceFile]) -> [Violation] {
    files.filter { file in
      file.isSwift && !unsafeHomes.contains { file.path.hasPrefix($0.path) }
    }.compactMap { file in
      let places = file.swift.places.filter { place in
        guard case .word(let name) = place.token else { return false }
        return isUnsafe(name)
      }
      guard let first = places.first, case .word(let name) = first.token else { return nil }
      return Violation(
        path: file.path, line: first.line,
        what: "\(name) outside the homes of unsafe code"
          + (places.count > 1 ? " (\(places.count) places in this file)" : ""),
        remedy: "Move it into one of Policy.unsafeHomes, or take Bytes, Span or an Address.")
    }
  }

  static func isUnsafe(_ name: String) -> Bool {
    (name.hasPrefix("Unsafe") && name.hasSuffix("Pointer")) || name.hasPrefix("withUnsafe")
      || ["unsafeBitCast", "unsafeDowncast", "unsafelyUnwrapped", "Unmanaged"].contains(name)
  }

  // MARK: A file is one noun

  static let longestFile = 400

  static func largeFiles(_ files: [SourceFile]) -> [Violation] {
    files.filter { ($0.isSwift || $0.isC) && $0.lines.count > longestFile }.map {
      Violation(
        path: $0.path, line: longestFile + 1,
        what: "\($0.lines.count) lines, \(longestFile) is the most",
        remedy: "It holds a second noun: give that a file.")
    }
  }

  // MARK: Nothing that traps on input, nothing left for later

  static func forbiddenWords(_ files: [SourceFile]) -> [Violation] {
    files.flatMap { file in traps(file) + promises(file) }
  }

  private static func traps(_ file: SourceFile) -> [Violation] {
    let swift = file.swift
    return swift.places.indices.compactMap { index in
      let found: String? =
        switch swift.word(at: index) {
        case "try" where swift.isPunctuation("!", at: index + 1): "try!"
        case "as" where swift.isPunctuation("!", at: index + 1): "as!"
        case "fatalError" where swift.isPunctuation("(", at: index + 1): "fatalError("
        default: nil
        }
      return found.map {
        Violation(
          path: file.path, line: swift.places[index].line, what: "\($0) can end the process",
          remedy: "Throw a LinkError; precondition is for our own promises (STYLE 9).")
      }
    }
  }

  private static func promises(_ file: SourceFile) -> [Violation] {
    file.lines.enumerated().flatMap { index, line in
      line.split { !$0.isLetter }.filter { $0 == "TODO" || $0 == "FIXME" }.map {
        Violation(
          path: file.path, line: index + 1, what: "\($0) in the sources",
          remedy: "Do it now, or file an issue and name the limit in the comment.")
      }
    }
  }

  // MARK: The door

  static func missingDoors(_ files: [SourceFile]) -> [Violation] {
    files.filter { $0.isSwift || $0.isC }.compactMap { file in
      let comments = file.lines.map { $0.drop { $0 == " " } }.drop { $0.isEmpty }
        .prefix { $0.hasPrefix("//") || $0.hasPrefix("/*") || $0.hasPrefix("*") }
      let says = comments.contains {
        $0.contains { $0.isLetter } && !$0.contains("swift-format-ignore")
      }
      return says
        ? nil
        : Violation(
          path: file.path, line: 1, what: "no comment at the door",
          remedy: "Begin the file with two to six lines: why it exists, which document it follows.")
    }
  }
}

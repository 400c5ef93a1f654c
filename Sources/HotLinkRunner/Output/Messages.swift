// The one place where facts become text for people: an error says what, where, and what to do.
import HotLink
import LoaderEngine

/// The text of errors and refusals.
enum Messages {
  /// Several lines: `error: what`, places indented, `help: what to do`.
  static func text(_ error: LinkError) -> String {
    let inFile = error.file.isEmpty ? "" : "\n  in \(error.file)"
    switch error.reason {
    case .notELF(let found):
      let start = found.prefix(4).map { bytes([$0]) }.joined(separator: " ")
      return "error: not an ELF file\(inFile)"
        + "\n  \(found.isEmpty ? "it is empty" : "begins with: \(start)")"
        + "\n  help: pass an object made with `cc -c`, an archive, or remove the file"
    case .malformed(let structure, let offset, let detail):
      return "error: malformed \(structure): \(detail)\(inFile) at \(hex(offset))"
        + "\n  help: the file may be half written or damaged; build it again"
    case .otherMachine(let found, let expected):
      return "error: made for another machine\(inFile)\n  found: \(found)\n  expected: \(expected)"
        + "\n  help: compile for this machine"
    case .unsupported(let what, let help):
      return "error: \(what)\(inFile)\n  help: \(help)"
    case .undefined(let symbols):
      return symbols.map(undefined).joined(separator: "\n")
    case .conflicts(let conflicts):
      return
        (conflicts.duplicates.map(duplicate) + conflicts.discarded.map(discarded)
        + conflicts.undefined.map(undefined)).joined(separator: "\n")
    case .overflow(let place, let symbol, let value):
      return "error: relocation out of range: '\(symbol)'\n  \(site(place))"
        + "\n  value: \(hex(UInt64(bitPattern: value)))\n  help: \(remedy(place.relocation))"
    case .outOfReach(let place, let symbol, let address, let value):
      return "error: '\(symbol)' of the host process is out of reach\n  \(site(place))"
        + "\n  its address: \(hex(address)), further than 2 GiB from linked code"
        + "\n  value: \(hex(UInt64(bitPattern: value)))"
        + "\n  help: compile the unit with -fPIC"
    case .ambiguous(let place, _, let candidates):
      return "error: ambiguous reference: the end of \(candidates.first ?? "") or the start of"
        + " \(candidates.last ?? "")\n  \(site(place))"
        + "\n  help: compile with -fdata-sections, so that variables can move one by one; of a library,"
        + " watch the objects"
    case .missingLibrary(let name, let searched):
      return "error: library '\(name)' not found\(inFile)"
        + searched.map { "\n  tried: \($0)" }.joined()
        + "\n  help: put its directory into LD_LIBRARY_PATH, or link with -rpath"
    case .missingVersion(let version, let library):
      return "error: version '\(version)' not found in \(library)\(inFile)"
        + "\n  help: it was built against a newer version of that library"
    case .noSpace(let what, let requested):
      return "error: no space left for \(what)\(inFile)\n  requested: \(requested) bytes"
        + (what.hasPrefix("static thread")
          ? "\n  help: compile with -fPIC, so that threads get the variables when they ask for them"
          : "\n  help: restart the program")
    case .unreachableThread(let id, let name):
      return "error: thread \(id) '\(name)' could not be given its thread-local variables\(inFile)"
        + "\n  it blocks signals, and its thread pointer was not found"
        + "\n  help: start it after the load, or compile with -ftls-model=global-dynamic"
    case .system(let system):
      return "error: \(system.call): \(system.message)\n  for \(system.subject)"
    }
  }

  /// The unit runs; a debugger sees the names of its functions only.
  static func withoutDebugData(_ error: LinkError) -> String {
    text(error).replacing("error: ", with: "warning: debug data left out: ", maxReplacements: 1)
  }

  static func text(_ refusal: Refusal) -> String {
    switch refusal.reason {
    case .link(let error): return text(error)
    case .state(let state): return text(state)
    case .layout(let layout): return LayoutReport.text(layout)
    }
  }

  /// Why a word is not compared with another loader's.
  static func reason(_ skip: LoaderComparison.Skip) -> String {
    switch skip {
    case .nothingIsWritten: "R_X86_64_NONE writes nothing"
    case .overwritten: "a later relocation writes the same word"
    case .copiedOntoItself: "dlopen copies the variable onto itself"
    }
  }

  /// One line for `--json`.
  static func line(_ refusal: Refusal) -> String {
    if case .layout(let layout) = refusal.reason { return line(LayoutReport.summary(layout)) }
    return line(text(refusal))
  }
  static func line(_ error: LinkError) -> String { line(text(error)) }

  private static func line(_ text: String) -> String {
    let lines = text.split(separator: "\n").map { line in
      String(line.drop { $0 == " " })
    }
    return lines.joined(separator: "; ").replacingPrefix("error: ", with: "")
  }

  private static func text(_ refusal: StateRefusal) -> String {
    let place = "\n  in \(refusal.unit)"
    switch refusal.reason {
    case .noRoomToGrow(let from, let to, let room):
      return "error: '\(refusal.symbol)' grew from \(from) to \(to) bytes\(place)"
        + "\n  room at its place: \(room) bytes; pointers to it may exist"
        + "\n  help: compile with -fdata-sections to give each variable room, let it move with --state"
        + " \(ReadableName.of(refusal.symbol))=move, or restart"
    case .shapeChanged(let from, let to):
      return "error: the shape of '\(refusal.symbol)' changed: \(from) → \(to) bytes\(place)"
        + "\n  objects that live depend on the old one\n  help: undo the change, or restart"
    case .recordsWouldMove:
      return "error: new type, protocol or conformance: '\(refusal.symbol)'\(place)"
        + "\n  the records of types that live would have to move for it"
        + "\n  help: put it into a new file, or restart"
    case .needsReset(let initialiser):
      return "error: new variable '\(refusal.symbol)' needs a reset of its unit\(place)"
        + "\n  '\(initialiser)' initialises it together with variables that live"
        + "\n  help: initialise it with a constant, put it into a new file, or let the unit lose its state: --state"
        + " \(Reporter.short(refusal.unit))=reset-when-needed, or now: hotlink ctl reset"
        + " \(Reporter.short(refusal.unit))"
    case .unnamedState(let bytes):
      return
        "error: \(bytes) bytes of state in \(refusal.symbol) have no names\n  in \(refusal.unit)"
        + "\n  help: do not strip libraries that shall be reloaded"
    case .undecodableCode(let at):
      return "error: code at \(hex(at)) cannot be decoded\n  in \(refusal.unit)"
        + "\n  help: let hotlink watch the objects of this library instead"
    case .swiftLibrary:
      return "error: a Swift library cannot be replaced\n  in \(refusal.unit)"
        + "\n  help: let hotlink watch the objects of this library instead"
    case .threadLocalLayout:
      return "error: thread-local variables moved: \(refusal.symbol)\(place)"
        + "\n  help: restart, or add new ones in another file"
    case .tableResized(let from, let to):
      return "error: table '\(refusal.symbol)' changed from \(from) to \(to) bytes\(place)"
        + "\n  it is walked from __start_\(refusal.symbol) to __stop_\(refusal.symbol)"
        + "\n  help: restart"
    case .sharedInAnotherSize(let from, let to, let owner):
      return "error: '\(refusal.symbol)' has \(to) bytes here, and \(from) where it lives\(place)"
        + "\n  it is shared with \(owner ?? "a library of the process")\n  help: "
        + (owner == nil ? "undo the change, or restart" : "rebuild that unit too")
    case .stillReferenced(let units):
      return "error: '\(refusal.symbol)' is gone but still used\(place)"
        + "\n  used by: \(units.joined(separator: ", "))\n  help: rebuild the units that use it"
    case .turned(let toFunction, let units):
      return "error: '\(refusal.symbol)' "
        + (toFunction ? "was a variable and is a function" : "was a function and is a variable")
        + "\(place)\n  used by: \(units.joined(separator: ", "))"
        + "\n  help: rebuild the units that use it"
    }
  }

  private static func undefined(_ symbol: LinkError.UndefinedSymbol) -> String {
    var text = "error: undefined symbol '\(symbol.name)'"
    for place in symbol.sites { text += "\n  \(site(place))" }
    if !symbol.sites.isEmpty, symbol.references > symbol.sites.count {
      text += "\n  and \(symbol.references - symbol.sites.count) more"
    }
    text += "\n  searched: all units, and the host process"
    if let suggestion = symbol.suggestion {
      text += "\n  help: '\(suggestion.name)' exists in \(suggestion.definedIn)"
    } else {
      text += "\n  help: add the unit that defines it, or name its library with -l"
    }
    return text
  }

  private static func duplicate(_ symbol: LinkError.Duplicate) -> String {
    "error: duplicate symbol '\(symbol.symbol)'\n  defined in \(place(symbol.first))"
      + "\n  and in \(place(symbol.second))\n  help: make one of them static, or remove it"
  }

  private static func discarded(_ reference: LinkError.Discarded) -> String {
    "error: '\(reference.symbol)' is in a group that another object supplies"
      + "\n  \(site(reference.site))\n  refers to section \(reference.section), which was dropped"
      + "\n  help: refer to it by a global symbol, or put both into the group"
  }

  private static func place(_ place: LinkError.Place) -> String {
    place.file + (place.section.map { ", section \($0) at +\(hex(place.offset))" } ?? "")
  }

  private static func site(_ site: LinkError.Site) -> String {
    // A shared object has segments; its linker has forgotten the sections.
    let section = site.section.isEmpty ? "" : ", section \(site.section)"
    return "in \(site.file)\(section) at +\(hex(site.offset)) (\(site.relocation))"
  }

  /// What helps when a value does not fit the field of a relocation.
  private static func remedy(_ relocation: String) -> String {
    switch relocation {
    case "R_X86_64_8", "R_X86_64_16", "R_X86_64_PC8", "R_X86_64_PC16":
      "the field is too narrow: use one of 32 or 64 bits, or move the symbol"
    case "R_X86_64_SIZE32": "the symbol is larger than 4 GiB: use R_X86_64_SIZE64"
    default: "compile with -fPIC"
    }
  }

  /// Two digits a byte.
  static func bytes(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
}

extension String {
  fileprivate func replacingPrefix(_ prefix: String, with other: String) -> String {
    hasPrefix(prefix) ? other + dropFirst(prefix.count) : self
  }
}

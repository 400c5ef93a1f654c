// Types of Swift objects by the metadata in them: field descriptors name each stored property and its type, the value
// witness table has the size, field offsets stand in class metadata and beside it. Debug data of swiftc says
// less. Swift: include/swift/Remote/…, RemoteInspection/Records.h, docs/ABI/TypeMetadata.rst.
internal import CLoaderSupport
internal import Glibc
internal import LoaderEngine

/// The nominal types that an object defines, by their mangled names.
struct SwiftShapes {
  private struct Field: Equatable {
    var name: String
    /// Mangled, with the names of other types written out.
    var type: String
    var offset: Int64
    var isCase = false
  }

  private struct Shape {
    var kind: UInt16
    var fields: [Field]
    /// Bytes; 0: not known here.
    var size: UInt64
    /// Mangled names of types that it mentions.
    var mentions: [String]
  }

  private let object: ObjectFile
  private var shapes: [String: Shape] = [:]
  /// Variables of the module: demangled `name : type`.
  private var variables: [String] = []
  private var symbols: [String: Int] = [:]

  /// Types that live objects or kept variables may have, and that lie in memory in another way now.
  static func changes(_ unit: String, _ old: ObjectFile, _ new: ObjectFile) -> [LayoutChange] {
    let before = SwiftShapes(old)
    let after = SwiftShapes(new)
    var changed: [String] = []
    for (name, shape) in before.shapes {
      guard let now = after.shapes[name] else { continue }
      if shape.kind != now.kind || shape.fields != now.fields || shape.size != now.size {
        changed.append(name)
      }
    }
    guard !changed.isEmpty else { return [] }
    let kept = before.reachable()
    return changed.filter { kept.contains($0) }.sorted().compactMap { name in
      guard let shape = before.shapes[name], let now = after.shapes[name] else { return nil }
      let shown = SwiftShapes.demangled("$s" + name) ?? name
      return LayoutChange(
        subject: .swiftType, unit: unit, name: shown, symbol: "$s" + name, oldType: shown,
        newType: shown, differences: differences(shown, shape, now))
    }
  }

  private static func differences(_ name: String, _ old: Shape, _ new: Shape) -> [LayoutDifference]
  {
    let (before, after) = (layout(name, old), layout(name, new))
    func difference(_ field: Field?, _ what: LayoutDifference.What) -> LayoutDifference {
      LayoutDifference(
        path: field.map { "." + $0.name } ?? "", part: field == nil ? .type : .member,
        name: field?.name ?? name, what: what, old: before, new: after, isBehindPointer: false)
    }
    var found: [LayoutDifference] = []
    for field in old.fields {
      guard let twin = new.fields.first(where: { $0.name == field.name }) else {
        found.append(difference(field, .removed))
        continue
      }
      if twin.type != field.type {
        found.append(difference(field, .retyped(from: shown(field.type), to: shown(twin.type))))
      } else if twin.offset != field.offset {
        found.append(difference(field, .moved(from: field.offset &* 8, to: twin.offset &* 8)))
      }
    }
    for field in new.fields where !old.fields.contains(where: { $0.name == field.name }) {
      found.append(difference(field, .added))
    }
    if found.isEmpty {
      let same = old.fields.map(\.name) == new.fields.map(\.name)
      found.append(
        difference(
          nil, same ? .resized(from: old.size, to: new.size) : .retyped(from: name, to: name)))
    }
    return found
  }

  private static func layout(_ name: String, _ shape: Shape) -> TypeLayout {
    TypeLayout(
      name: name, size: shape.size,
      rows: shape.fields.map {
        TypeLayout.Row(
          kind: $0.isCase ? .enumerator : .member, offset: $0.offset, bits: nil, size: 0,
          type: $0.type.isEmpty ? "" : shown($0.type), name: $0.name)
      })
  }

  private static func shown(_ type: String) -> String {
    (demangled("$s" + type + "D") ?? type).replacing("Swift.", with: "")
  }

  private static func demangled(_ name: String) -> String? {
    guard let text = hl_demangle_swift(name) else { return nil }
    defer { free(text) }
    let result = String(cString: text)
    return result == name ? nil : result
  }

  // MARK: reading

  private init(_ object: ObjectFile) {
    self.object = object
    for index in 1..<max(object.symbols.count, 1) {
      guard case .section = object.place(ofSymbol: index) else { continue }
      let view = object.name(ofSymbol: index)
      guard view.hasPrefix("$s"), object.symbols[index].type == UInt8(STT_OBJECT) else { continue }
      symbols[view.string] = index
    }
    let references = References(object)
    for (symbol, index) in symbols where symbol.hasSuffix("MF") {
      let name = String(symbol.dropFirst(2).dropLast(2))
      if let shape = read(index, name, references) { shapes[name] = shape }
    }
    for symbol in symbols.keys where symbol.hasSuffix("vp") || symbol.hasSuffix("vpZ") {
      variables.append(SwiftShapes.demangled(symbol) ?? symbol)
    }
  }

  /// A field descriptor: name and superclass of the type (two distances), kind, size of a record, number of records.
  private func read(_ index: Int, _ name: String, _ references: References) -> Shape? {
    guard case .section(let section) = object.place(ofSymbol: index),
      let bytes = object.contents(ofSection: section)
    else { return nil }
    let start = object.symbols[index].st_value
    guard let kind = bytes.load(UInt16.self, at: start + 8),
      let stride = bytes.load(UInt16.self, at: start + 10), stride >= 12,
      let count = bytes.load(UInt32.self, at: start + 12),
      UInt64(count) * UInt64(stride) <= UInt64(bytes.count)
    else { return nil }
    var shape = Shape(kind: kind, fields: [], size: size(of: name), mentions: [])
    for number in 0..<UInt64(count) {
      let record = start + 16 + number * UInt64(stride)
      guard let flags = bytes.load(UInt32.self, at: record) else { return nil }
      let type = references.typeName(section, record + 4)
      let field = references.text(section, record + 8) ?? "?"
      shape.mentions += type.mentions
      shape.fields.append(
        Field(
          name: field, type: type.text, offset: offset(of: field, number, in: name),
          isCase: kind == 2 || kind == 3))
      _ = flags
    }
    return shape
  }

  /// Of a value type: its witness table has the size behind eight functions.
  private func size(of name: String) -> UInt64 {
    guard let index = symbols["$s" + name + "WV"],
      case .section(let section) = object.place(ofSymbol: index)
    else { return 0 }
    return object.contents(ofSection: section)?
      .load(UInt64.self, at: object.symbols[index].st_value + 64) ?? 0
  }

  /// Of a class: a variable beside its metadata; of a structure: behind witness table, kind and descriptor.
  private func offset(of field: String, _ number: UInt64, in name: String) -> Int64 {
    let prefix = "$s\(name)\(field.utf8.count)\(field)"
    if name.hasSuffix("C") {
      let symbol = symbols.first { $0.key.hasPrefix(prefix) && $0.key.hasSuffix("vpWvd") }
      guard let index = symbol?.value, case .section(let section) = object.place(ofSymbol: index)
      else { return -1 }
      return object.contents(ofSection: section)?
        .load(Int64.self, at: object.symbols[index].st_value) ?? -1
    }
    guard name.hasSuffix("V"), let index = symbols["$s" + name + "Mf"],
      case .section(let section) = object.place(ofSymbol: index),
      32 + 4 * (number + 1) <= object.symbols[index].st_size
    else { return -1 }
    return object.contents(ofSection: section)?
      .load(UInt32.self, at: object.symbols[index].st_value + 32 + 4 * number).map { Int64($0) }
      ?? -1
  }

  // MARK: what may be kept

  /// Types of variables, and of what these are made of. An object of a class may be anywhere.
  private func reachable() -> Set<String> {
    var pending = shapes.keys.filter { $0.hasSuffix("C") }
    let holdsAnything = variables.contains {
      $0.contains("any ") || $0.contains("Any") || $0.contains("->")
    }
    if holdsAnything { return Set(shapes.keys) }
    for name in shapes.keys {
      guard let shown = SwiftShapes.demangled("$s" + name) else { return Set(shapes.keys) }
      if variables.contains(where: { SwiftShapes.mentions($0, shown) }) { pending.append(name) }
    }
    var found: Set<String> = []
    while let name = pending.popLast() {
      guard found.insert(name).inserted else { continue }
      pending += shapes[name]?.mentions ?? []
    }
    return found
  }

  private static func mentions(_ variable: String, _ type: String) -> Bool {
    guard let colon = variable.firstRange(of: " : ") else { return variable.contains(type) }
    var rest = variable[colon.upperBound...]
    while let range = rest.firstRange(of: type) {
      let next = range.upperBound < rest.endIndex ? rest[range.upperBound] : " "
      if !next.isLetter, !next.isNumber, next != "_" { return true }
      rest = rest[range.upperBound...]
    }
    return false
  }
}

/// What the words of an object's sections refer to.
private struct References {
  private struct Place: Hashable {
    var section: Int
    var offset: UInt64
  }

  private let object: ObjectFile
  private var table: [Place: (symbol: Int, addend: Int64)] = [:]

  init(_ object: ObjectFile) {
    self.object = object
    for list in object.relocationSections {
      let section = Int(object.sections[list].info)
      guard object.name(ofSection: section).hasPrefix("swift5_fieldmd") else { continue }
      let relocations = object.relocations(inSection: list)
      for index in 0..<relocations.count {
        let relocation = relocations[index]
        guard relocation.symbol < object.symbols.count else { continue }
        table[Place(section: section, offset: relocation.r_offset)] = (
          relocation.symbol, relocation.r_addend
        )
      }
    }
  }

  /// The string that a distance leads to.
  func text(_ section: Int, _ offset: UInt64) -> String? {
    guard let aim = table[Place(section: section, offset: offset)] else { return nil }
    return bytes(aim.symbol, aim.addend).map { String(decoding: $0, as: UTF8.self) }
  }

  private func bytes(_ symbol: Int, _ addend: Int64) -> [UInt8]? {
    guard case .section(let section) = object.place(ofSymbol: symbol),
      let contents = object.contents(ofSection: section)
    else { return nil }
    var found: [UInt8] = []
    var at = object.symbols[symbol].st_value &+ UInt64(bitPattern: addend)
    while let byte = contents.load(UInt8.self, at: at), byte != 0, found.count < 1024 {
      found.append(byte)
      at += 1
    }
    return found
  }

  /// A type's mangled name. `symbolic Say_____G 1s1PV` is an array of `1s1PV`.
  func typeName(_ section: Int, _ offset: UInt64) -> (text: String, mentions: [String]) {
    guard let aim = table[Place(section: section, offset: offset)] else { return ("", []) }
    let name = object.name(ofSymbol: aim.symbol).string
    guard name.hasPrefix("symbolic ") else {
      let raw = bytes(aim.symbol, aim.addend) ?? []
      return (String(decoding: raw.map { $0 < 0x20 ? 0x3F : $0 }, as: UTF8.self), [])
    }
    let words = name.dropFirst(9).split(separator: " ")
    let mentions = words.dropFirst().map(String.init)
    var text = ""
    var rest = words.first.map { $0[...] } ?? ""
    for mention in mentions {
      guard let hole = rest.firstRange(of: "_____") else { break }
      text += rest[..<hole.lowerBound] + mention
      rest = rest[hole.upperBound...]
    }
    return (text + rest, mentions)
  }
}

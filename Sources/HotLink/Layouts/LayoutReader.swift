// From debug data to a table of types: begins at variables that have a place and at functions that others may
// call, and follows what they are made of, through pointers too. A list and no recursion: types may refer
// to each other in circles, or in chains of any length.
internal import LoaderEngine

/// Fills a `TypeTable`.
struct LayoutReader {
  private let entries: DebugEntries
  private(set) var table = TypeTable()
  /// Nodes by the offsets of their entries.
  private var known: WordTable<UInt32>
  /// Of each node; -1: none.
  private var offsets: [Int] = []
  /// Entries whose nodes are still empty.
  private var pending: [(offset: Int, index: TypeIndex)] = []

  init(_ entries: DebugEntries) {
    self.entries = entries
    let expected = min(entries.scan.records.count * 6, 1 << 14)
    known = WordTable(capacity: expected)
    offsets.reserveCapacity(expected)
    table.nodes.reserveCapacity(expected)
    table.members.reserveCapacity(expected * 2)
    table.isC = entries.units.headers.contains { LayoutReader.isC($0.language) }
  }

  // DW_LANG_C89, C, C99, C11, C17, C23.
  static func isC(_ language: UInt16) -> Bool {
    [0x01, 0x02, 0x0C, 0x1D, 0x2C, 0x3E].contains(language)
  }

  /// The type of an entry, and everything it reaches.
  mutating func type(at offset: Int) -> TypeIndex {
    let index = node(at: offset)
    drain()
    return index
  }

  /// The type of a function's entry: what it returns and takes.
  mutating func signature(of function: DebugEntry) -> TypeIndex {
    var node = TypeNode(shape: .function)
    node.target = self.node(at: declared(function).type)
    // An optimised body may have lost parameters; what it was made of has them.
    var full = function
    if function.origin >= 0, !function.hasSpecification,
      let origin = entries.entry(at: function.origin)
    {
      full = origin
    }
    fillParameters(&node, full)
    table.nodes.append(node)
    offsets.append(-1)
    let index = TypeIndex(truncatingIfNeeded: table.nodes.count - 1)
    drain()
    return index
  }

  /// Adds the classes that objects behind pointers may be of: those derived from what has been reached and has virtual
  /// functions.
  mutating func addDerivedClasses() {
    guard table.members.contains(where: { $0.kind == .tablePointer }) else { return }
    var byBase: [Int: [Int]] = [:]
    for (record, offset) in entries.scan.bases {
      guard let base = entries.entry(at: offset)?.type, base >= 0 else { continue }
      byBase[base, default: []].append(record)
    }
    var at = 0
    while at < table.nodes.count {
      if offsets[at] >= 0, let derived = byBase[offsets[at]], isPolymorphic(TypeIndex(at)) {
        table.derived[TypeIndex(at), default: []] += derived.map { node(at: $0) }
        drain()
      }
      at += 1
    }
  }

  private func isPolymorphic(_ index: TypeIndex, depth: Int = 0) -> Bool {
    let node = table[index]
    guard node.shape == .record, depth < 16 else { return false }
    return table.members(of: node).contains { member in
      switch member.kind {
      case .tablePointer, .virtualFunction: true
      case .base, .virtualBase: isPolymorphic(table.resolved(member.type), depth: depth + 1)
      default: false
      }
    }
  }

  /// The entry that has the type and name: a definition may refer to its declaration.
  func declared(_ entry: DebugEntry) -> DebugEntry {
    guard entry.origin >= 0 else { return entry }
    var found = entry
    for _ in 0..<4 where found.origin >= 0 {
      guard found.type < 0 || !found.name.isPresent, let next = entries.entry(at: found.origin)
      else { break }
      var merged = next
      if found.type >= 0 { merged.type = found.type }
      if found.linkageName.isPresent { merged.linkageName = found.linkageName }
      found = merged
    }
    return found
  }

  /// Names around an entry, outermost first.
  mutating func scopes(around offset: Int) -> Span32 {
    var index = entries.scope(around: offset)
    guard index >= 0 else { return Span32() }
    var names: [NameView] = []
    while index >= 0, names.count < 32 {
      let scope = entries.scan.scopes[index]
      if let found = entries.entry(at: scope.start) {
        let entry = declared(found)
        if let name = entries.text(entry.name, entry.unit) {
          names.append(name)
          // A member function's definition stands outside its class.
          if entry.offset != found.offset {
            index = entries.scope(around: entry.offset)
            continue
          }
        } else if entry.tag == DebugTag.namespace {
          names.append(NameView("(anonymous namespace)"))
        }
      }
      index = Int(scope.parent)
    }
    let first = Int32(truncatingIfNeeded: table.scopeNames.count)
    table.scopeNames += names.reversed()
    return Span32(first: first, count: Int32(truncatingIfNeeded: names.count))
  }

  // MARK: nodes

  private mutating func node(at offset: Int) -> TypeIndex {
    guard offset >= 0 else { return -1 }
    let known = self.known[UInt32(truncatingIfNeeded: offset)]
    if known >= 0 { return known }
    let index = TypeIndex(truncatingIfNeeded: table.nodes.count)
    table.nodes.append(TypeNode())
    offsets.append(offset)
    self.known.set(UInt32(truncatingIfNeeded: offset), index)
    pending.append((offset, index))
    return index
  }

  private mutating func drain() {
    while let (offset, index) = pending.popLast() {
      let node = entries.entry(at: offset).map { read($0) } ?? TypeNode(shape: .nothing)
      table.nodes[Int(index)] = node
    }
  }

  private mutating func read(_ entry: DebugEntry) -> TypeNode {
    var node = TypeNode(shape: .nothing)
    node.name = entries.text(entry.name, entry.unit)
    node.size = UInt64(clamping: max(entry.byteSize, 0))
    switch entry.tag {
    case DebugTag.base:
      node.encoding = entry.encoding
      switch entry.encoding {
      case 0x02: node.shape = .boolean
      case 0x04: node.shape = .floating
      case 0x05, 0x06, 0x07, 0x08, 0x10: node.shape = .integer
      default: node.shape = .other
      }
    case DebugTag.pointer: follow(&node, .pointer, entry, size: 8)
    case DebugTag.reference, DebugTag.rvalueReference: follow(&node, .reference, entry, size: 8)
    case DebugTag.memberPointer: follow(&node, .memberPointer, entry, size: 8)
    case DebugTag.typedef:
      follow(&node, .alias, entry)
      node.scopes = scopes(around: entry.offset)
    case DebugTag.constant, DebugTag.volatile, DebugTag.restrict, DebugTag.atomic:
      follow(&node, .qualified, entry)
      node.encoding = UInt8(truncatingIfNeeded: entry.tag)
    case DebugTag.structure, DebugTag.classType, DebugTag.union: readRecord(&node, entry)
    case DebugTag.enumeration: readEnumeration(&node, entry)
    case DebugTag.array:
      follow(&node, .array, entry)
      collect(&node, entry) { reader, child in
        guard child.tag == DebugTag.subrange || child.tag == DebugTag.enumeration else { return }
        let entries = reader.entries
        let count =
          entries.number(child.elementCount) ?? entries.number(child.upperBound).map { $0 &+ 1 }
        reader.table.members.append(TypeMember(kind: .dimension, offset: count ?? -1))
      }
    case DebugTag.subroutine:
      follow(&node, .function, entry)
      fillParameters(&node, entry)
    default: break
    }
    return node
  }

  private mutating func follow(
    _ node: inout TypeNode, _ shape: TypeNode.Shape, _ entry: DebugEntry, size: UInt64 = 0
  ) {
    node.shape = shape
    node.target = self.node(at: entry.type)
    if node.size == 0 { node.size = size }
  }

  private mutating func readRecord(_ node: inout TypeNode, _ entry: DebugEntry) {
    // Its definition is in a type unit.
    if entry.type >= 0 { return follow(&node, .alias, entry) }
    node.scopes = scopes(around: entry.offset)
    guard !entry.isDeclaration else {
      node.shape = .incomplete
      return
    }
    node.shape = entry.tag == DebugTag.union ? .union : .record
    let hidesContents = ErasedContents.areIn(node, table)
    var isPlain = !entry.isPassedByReference
    collect(&node, entry) { reader, child in
      // DWARF 4 does not say how it is passed.
      if child.tag == DebugTag.subprogram, !child.isArtificial,
        reader.entries.text(child.name, child.unit)?.hasPrefix("~") == true
      {
        isPlain = false
      }
      if hidesContents, child.tag == DebugTag.templateType {
        let name = reader.entries.text(child.name, child.unit)
        let type = reader.node(at: child.type)
        reader.table.members.append(TypeMember(kind: .content, name: name, type: type))
      }
      reader.readMember(child)
    }
    node.isPlain = isPlain
  }

  private mutating func readMember(_ child: DebugEntry) {
    switch child.tag {
    case DebugTag.member: readField(child)
    case DebugTag.inheritance:
      let offset = entries.number(child.location)
      table.members.append(
        TypeMember(
          kind: child.isVirtual || offset == nil ? .virtualBase : .base, type: node(at: child.type),
          offset: child.isVirtual ? -1 : (offset ?? -1) &* 8))
    case DebugTag.subprogram where child.isVirtual:
      let name = entries.text(child.name, child.unit)
      table.members.append(
        TypeMember(
          kind: .virtualFunction, name: name,
          signature: LayoutReader.signature(entries.text(child.linkageName, child.unit), name),
          offset: entries.number(child.constant) ?? -1))
    case DebugTag.variantPart:
      // Rust: one field for what tells the variants apart, and those of all variants.
      var parts = entries.children(of: child)
      var part = DebugEntry()
      while parts.next(&part) {
        if part.tag == DebugTag.member { readField(part) }
        guard part.tag == DebugTag.variant else { continue }
        var members = entries.children(of: part)
        var inner = DebugEntry()
        while members.next(&inner) { if inner.tag == DebugTag.member { readField(inner) } }
      }
    default: break
    }
  }

  private mutating func readField(_ entry: DebugEntry) {
    // A static member is a variable of its own.
    guard !entry.isDeclaration, !entry.isExternal else { return }
    let name = entries.text(entry.name, entry.unit)
    let start = (entries.number(entry.location) ?? 0) &* 8
    if entry.isArtificial || name == nil, name?.hasPrefix("_vptr") == true {
      table.members.append(TypeMember(kind: .tablePointer, name: name, offset: start))
      return
    }
    var member = TypeMember(kind: .field, name: name, type: node(at: entry.type), offset: start)
    if entry.bitSize >= 0 {
      member.bitSize = UInt64(entry.bitSize)
      if entry.dataBitOffset >= 0 {
        member.offset = start &+ entry.dataBitOffset
      } else if entry.bitOffset != .min {
        // DWARF 3: from the most significant bit of its storage.
        let storage = entry.byteSize >= 0 ? entry.byteSize : 4
        member.offset = start &+ storage &* 8 &- entry.bitOffset &- entry.bitSize
      }
    }
    table.members.append(member)
  }

  private mutating func readEnumeration(_ node: inout TypeNode, _ entry: DebugEntry) {
    if entry.type >= 0, entry.isDeclaration { return follow(&node, .alias, entry) }
    node.scopes = scopes(around: entry.offset)
    guard !entry.isDeclaration else {
      node.shape = .incomplete
      return
    }
    node.shape = .enumeration
    collect(&node, entry) { reader, child in
      guard child.tag == DebugTag.enumerator else { return }
      reader.table.members.append(
        TypeMember(
          kind: .enumerator, name: reader.entries.text(child.name, child.unit),
          offset: Int64(bitPattern: child.constant.number)))
    }
  }

  private mutating func fillParameters(_ node: inout TypeNode, _ entry: DebugEntry) {
    collect(&node, entry) { reader, child in
      if child.tag == DebugTag.parameter {
        let type = child.origin < 0 ? child.type : reader.declared(child).type
        reader.table.members.append(TypeMember(kind: .parameter, type: reader.node(at: type)))
      } else if child.tag == DebugTag.unspecifiedParameters {
        reader.table.members.append(TypeMember(kind: .parameter, type: -1))
      }
    }
  }

  /// The members of a node, which lie side by side.
  ///
  /// - Parameter body: adds what a child is to the table; nodes that it makes are read later.
  @inline(__always)
  private mutating func collect(
    _ node: inout TypeNode, _ entry: DebugEntry,
    _ body: (inout LayoutReader, DebugEntry) -> Void
  ) {
    let first = table.members.count
    var children = entries.children(of: entry)
    var child = DebugEntry()
    while children.next(&child) { body(&self, child) }
    node.members = Span32(
      first: Int32(truncatingIfNeeded: first),
      count: Int32(truncatingIfNeeded: table.members.count - first))
  }

  /// What follows a function's name in its linkage name.
  private static func signature(_ linkage: NameView?, _ name: NameView?) -> NameView? {
    guard let linkage, let name, name.count < linkage.count else { return nil }
    // The last occurrence: a namespace may have the same name.
    var at = linkage.count - name.count
    while at > 0 {
      let rest = linkage.dropFirst(at)
      if NameView(base: rest.base, count: name.count) == name { return rest.dropFirst(name.count) }
      at -= 1
    }
    return nil
  }
}

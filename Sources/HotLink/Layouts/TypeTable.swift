// The types of one object as values: what the layout guard compares. Names stay where the object has them,
// so that making a table costs no strings; only what variables and signatures reach is in it.
internal import LoaderEngine

typealias TypeIndex = Int32

/// A type.
struct TypeNode: Sendable {
  enum Shape: UInt8 {
    /// On the reader's list.
    case pending
    case integer, boolean, floating
    /// A base type of another encoding: complex, decimal, a vendor's.
    case other
    case pointer, reference, memberPointer
    case record, union, enumeration, array, function
    /// `void`, `decltype(nullptr)`.
    case nothing
    /// Declared and not defined here.
    case incomplete
    /// Another name for its target.
    case alias
    /// `const`, `volatile`, `restrict`, `_Atomic`: `encoding` is the tag.
    case qualified
  }

  private var ownName = DebugName(nil)
  var target: TypeIndex = -1
  /// Bytes.
  var size: UInt64 = 0
  /// Names around it, outermost first, in the table's `scopeNames`.
  var scopes = Span32()
  /// Its members in the table's `members`.
  var members = Span32()
  var shape: Shape
  var encoding: UInt8 = 0
  /// Its bytes can be copied.
  var isPlain = true

  init(shape: Shape = .pending) { self.shape = shape }

  var name: NameView? {
    get { ownName.view }
    set { ownName = DebugName(newValue) }
  }
}

/// A range of one of the table's lists.
struct Span32 {
  var first: Int32 = 0
  var count: Int32 = 0
  var range: Range<Int> { Int(first)..<Int(first) + Int(count) }
}

/// A part of a type.
struct TypeMember {
  enum Kind: UInt8 {
    case field, base, virtualBase
    /// Of a class with virtual functions.
    case tablePointer
    /// `offset` is its slot.
    case virtualFunction
    /// `offset` is its value.
    case enumerator
    /// `offset` is how many elements; -1: not known.
    case dimension
    case parameter
    /// What a container holds behind pointers that do not say so.
    case content
  }

  private let ownName: DebugName
  var type: TypeIndex
  private let ownSignature: DebugName
  var kind: Kind
  /// Bits from the start, or as the kind says.
  var offset: Int64
  /// Of a bit field; 0: it is none.
  var bitSize: UInt64 = 0

  init(
    kind: Kind, name: NameView? = nil, signature: NameView? = nil, type: TypeIndex = -1,
    offset: Int64 = 0
  ) {
    self.kind = kind
    ownName = DebugName(name)
    ownSignature = DebugName(signature)
    self.type = type
    self.offset = offset
  }

  var name: NameView? { ownName.view }
  /// Of a virtual function, what its linkage name says after its name: the parameters.
  var signature: NameView? { ownSignature.view }

  @inline(__always)
  func hasSameName(as other: TypeMember) -> Bool { ownName == other.ownName }
}

/// Types and their parts.
struct TypeTable {
  var nodes: [TypeNode] = []
  var members: [TypeMember] = []
  var scopeNames: [NameView] = []
  /// Classes that objects of a class with virtual functions may be of, by the class.
  var derived: [TypeIndex: [TypeIndex]] = [:]
  /// Tags are part of a name: `struct point`.
  var isC = false

  subscript(index: TypeIndex) -> TypeNode {
    index >= 0 && Int(index) < nodes.count ? nodes[Int(index)] : TypeTable.void
  }

  private static let void = TypeNode(shape: .nothing)

  func members(of node: TypeNode) -> ArraySlice<TypeMember> { members[node.members.range] }

  /// The type behind other names and qualifiers.
  func resolved(_ index: TypeIndex) -> TypeIndex {
    var index = index
    // A file may claim that a name stands for itself.
    for _ in 0..<64 {
      let node = self[index]
      guard node.shape == .alias || node.shape == .qualified else { return index }
      index = node.target
    }
    return -1
  }

  /// Bytes of a type; of an array all its elements. The largest number for what a file claims beyond that.
  func size(of index: TypeIndex) -> UInt64 {
    var index = resolved(index)
    var count: UInt64 = 1
    for _ in 0..<64 {
      let node = self[index]
      guard node.shape == .array, node.size == 0 else {
        return TypeTable.product(node.size, count)
      }
      for member in members(of: node) {
        count = TypeTable.product(count, UInt64(clamping: max(member.offset, 0)))
      }
      index = resolved(node.target)
    }
    return 0
  }

  private static func product(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let (product, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? .max : product
  }

  // MARK: names

  /// A name with those around it; nil for a type without one.
  func qualifiedName(_ node: TypeNode) -> String? {
    node.name.map { name in qualified(name.string, node.scopes) }
  }

  func qualified(_ name: String, _ scopes: Span32) -> String {
    scopeNames[scopes.range].reduce(into: "") { $0 += $1.string + "::" } + name
  }

  /// As a programmer would write it.
  func name(of index: TypeIndex, depth: Int = 0) -> String {
    guard depth < 16 else { return "…" }
    let node = self[index]
    func target() -> String { name(of: node.target, depth: depth + 1) }
    switch node.shape {
    case .nothing: return node.name?.string ?? "void"
    case .pending: return "?"
    case .integer, .boolean, .floating, .other:
      return node.name?.string ?? "\(node.size)-byte number"
    case .alias:
      return qualifiedName(node) ?? target()
    case .qualified:
      let word = TypeTable.qualifier(node.encoding)
      return self[node.target].isPointer ? target() + word : word + " " + target()
    case .pointer, .reference:
      let mark = node.shape == .pointer ? "*" : "&"
      let aim = self[node.target]
      if aim.shape == .function { return function(aim, "(\(mark))", depth) }
      let text = target()
      return text + (text.hasSuffix("*") ? "" : " ") + mark
    case .memberPointer: return "pointer to member"
    case .array:
      let counts = members(of: node).map { $0.offset < 0 ? "[]" : "[\($0.offset)]" }
      return target() + counts.joined()
    case .function: return function(node, "", depth)
    case .record, .union, .enumeration, .incomplete:
      guard let name = qualifiedName(node) else {
        return node.shape == .union ? "union" : node.shape == .enumeration ? "enum" : "struct"
      }
      guard isC else { return name }
      switch node.shape {
      case .union: return "union " + name
      case .enumeration: return "enum " + name
      default: return "struct " + name
      }
    }
  }

  private func function(_ node: TypeNode, _ mark: String, _ depth: Int) -> String {
    let parameters = members(of: node).map { name(of: $0.type, depth: depth + 1) }
    return name(of: node.target, depth: depth + 1) + " \(mark)("
      + (parameters.isEmpty ? "void" : parameters.joined(separator: ", ")) + ")"
  }

  private static func qualifier(_ tag: UInt8) -> String {
    switch UInt16(tag) {
    case DebugTag.constant: "const"
    case DebugTag.volatile: "volatile"
    case DebugTag.restrict: "restrict"
    default: "_Atomic"
    }
  }
}

extension TypeNode {
  var isPointer: Bool { shape == .pointer || shape == .reference }
}

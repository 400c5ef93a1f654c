// Units, abbreviations and entries of debug data as values (DWARF 5, section 7.5).

/// A unit of debug data.
struct DebugUnitHeader {
  var start: Int
  var end: Int
  var version: UInt16
  /// 8 in 64-bit DWARF.
  var offsetSize: Int
  var addressSize: Int
  var firstEntry = 0
  /// Index of its abbreviations.
  var table = 0
  var stringBase = 8
  var addressBase = 8
  var language: UInt16 = 0
  /// Of a type unit: by what it is referred to, and where its type is.
  var signature: UInt64?
  var typeOffset = 0
}

/// An attribute as an abbreviation lists it.
struct DebugAttribute {
  var name: UInt16
  var form: UInt16
  var implicit: Int64
}

/// The shape of an entry.
struct DebugAbbreviation {
  enum Interest: UInt8 { case none, scope, record, variable, declaration, function, base }
  var tag: UInt16
  var hasChildren: Bool
  var interest: Interest
  var first: Int32
  var count: Int32
  /// Of all attributes together; -1 when they vary.
  var size: Int32
  /// What of a fixed-size entry counts for types, in the list of `DebugEntries`.
  var kept = Span32()
}

/// An attribute's value, not yet looked up.
struct DebugValue {
  var form: UInt16 = 0
  var number: UInt64 = 0
  /// Bytes of a block or expression, in `info`.
  var at = 0
  var count = 0
  var isPresent: Bool { form != 0 }
}

/// What is read of an entry.
struct DebugEntry {
  var offset = 0
  var unit = 0
  var tag: UInt16 = 0
  var hasChildren = false
  /// Behind its attributes.
  var next = 0
  var name = DebugValue()
  var linkageName = DebugValue()
  /// Offsets of other entries; -1: none.
  var type = -1
  var origin = -1
  var sibling = -1
  var hasSpecification = false
  var byteSize: Int64 = -1
  var bitSize: Int64 = -1
  var dataBitOffset: Int64 = -1
  var bitOffset = Int64.min
  var encoding: UInt8 = 0
  var memberLocation = DebugValue()
  var location = DebugValue()
  var constant = DebugValue()
  var upperBound = DebugValue()
  var elementCount = DebugValue()
  var slot = DebugValue()
  var discriminant = DebugValue()
  var isDeclaration = false
  var isExternal = false
  var isArtificial = false
  var isVirtual = false
  /// A class with a copy constructor or destructor of its own.
  var isPassedByReference = false
  var lowPC = DebugValue()
}

/// What an abbreviation's attributes say about its entries.
struct AttributeFacts {
  var hasPlace = false
  var hasLocation = false
  var isDeclaration = false
  var hasCode = false

  mutating func note(_ name: UInt16, _ form: UInt16) {
    switch name {
    case 0x02:  // DW_AT_location
      hasLocation = true
      hasPlace = form == 0x18 || form == 0x0A || form == 0x03 || form == 0x04 || form == 0x09
    case 0x3C: isDeclaration = true
    case 0x11, 0x55: hasCode = true  // DW_AT_low_pc, DW_AT_ranges
    default: break
    }
  }

  func interest(_ tag: UInt16, _ hasChildren: Bool) -> DebugAbbreviation.Interest {
    switch tag {
    case DebugTag.variable:
      hasPlace ? .variable : isDeclaration && !hasLocation ? .declaration : .none
    case DebugTag.inheritance: .base
    case DebugTag.subprogram: hasCode ? .function : hasChildren ? .scope : .none
    case DebugTag.structure, DebugTag.classType, DebugTag.union:
      isDeclaration ? (hasChildren ? .scope : .none) : .record
    case DebugTag.namespace, DebugTag.module: hasChildren ? .scope : .none
    default: .none
    }
  }
}

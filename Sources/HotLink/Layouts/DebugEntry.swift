// Units, abbreviations and entries of debug data as values (DWARF 5, section 7.5).

/// What attributes' sizes depend on.
struct DebugWidths {
  var version: UInt16
  /// 8 in 64-bit DWARF.
  var offsetSize: UInt8
  var addressSize: UInt8 = 8
}

/// A unit of debug data.
struct DebugUnitHeader {
  var start: Int
  var end: Int
  var widths: DebugWidths
  var firstEntry = 0
  /// Its abbreviations in the list of all, by code from 1 on.
  var abbreviations = Span32()
  var stringBase = 8
  var addressBase = 8
  var language: UInt16 = 0
  /// Of a type unit: where its type is.
  var typeOffset = 0
}

/// What to do with an attribute of an entry, or with several that say nothing about types.
struct DebugStep {
  /// DW_AT_…; 0 for what is passed over.
  var name: UInt16
  var form: UInt16
  /// Bytes; -1 when they vary.
  var width: Int32
  /// Of DW_FORM_implicit_const.
  var implicit: Int64
}

/// An attribute, or several, as a pass over all entries sees them.
struct DebugPart {
  enum Action: UInt8 {
    /// `width` bytes say nothing about types.
    case skip
    /// 1, 2, 4 or 8 bytes count.
    case word
    /// DW_FORM_ref4 to an entry.
    case entry
    /// DW_FORM_strp of 4 bytes.
    case text
    /// DW_FORM_string.
    case ownText
    /// As `form` and `meaning` say.
    case other
  }
  var action: Action
  var meaning: DebugFingerprint.Meaning
  var form: UInt16
  var width: Int32
}

/// The shape of an entry.
struct DebugAbbreviation {
  enum Interest: UInt8 { case none, scope, record, variable, declaration, function, base }
  var tag: UInt16 = 0
  var hasChildren = false
  var interest = Interest.none
  /// Of all attributes together; -1 when they vary.
  var size: Int32 = 0
  var steps = Span32()
  /// The same for a pass over all entries.
  var parts = Span32()
  /// A number for what all its entries have in common; 0: they say nothing about types.
  var print: UInt64 = 0
}

/// An attribute's value, not yet looked up.
struct DebugValue {
  /// Of a block, an expression or a text in place: where its bytes are in `info`.
  var number: UInt64 = 0
  /// Bytes of a block or expression.
  var count: UInt32 = 0
  var form: UInt16 = 0
  var isPresent: Bool { form != 0 }
}

/// What is read of an entry.
struct DebugEntry {
  var offset = 0
  /// Behind its attributes.
  var next = 0
  /// Offsets of other entries; -1: none.
  var type = -1
  var origin = -1
  var sibling = -1
  var unit: Int32 = 0
  var tag: UInt16 = 0
  var encoding: UInt8 = 0
  var hasChildren = false
  var byteSize: Int64 = -1
  var bitSize: Int64 = -1
  var dataBitOffset: Int64 = -1
  var bitOffset = Int64.min
  var name = DebugValue()
  var linkageName = DebugValue()
  /// Of a variable, a member, or a function's code.
  var location = DebugValue()
  /// Of an enumerator; of a virtual function its slot.
  var constant = DebugValue()
  var upperBound = DebugValue()
  var elementCount = DebugValue()
  var hasSpecification = false
  var isDeclaration = false
  var isExternal = false
  var isArtificial = false
  var isVirtual = false
  /// A class with a copy constructor or destructor of its own.
  var isPassedByReference = false
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
      hasPlace = DebugForm.isBlock(form)
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

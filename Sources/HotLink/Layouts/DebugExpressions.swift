// What values of debug data lead to: texts, addresses, places in memory, numbers (DWARF 5, sections 2.5 and 7.7).
internal import LoaderEngine

extension DebugData {
  /// The text that a value of a unit names.
  func text(_ value: DebugValue, _ header: DebugUnitHeader) -> NameView? {
    switch value.form {
    case 0x08: return text(inInfo: Int(clamping: value.number))
    case 0x0E: return text(strings, value.number)
    case 0x1F: return text(lineStrings, value.number)
    case 0x1A, 0x25, 0x26, 0x27, 0x28, 0x1F02:
      let (distance, overflow) = Int(clamping: value.number)
        .multipliedReportingOverflow(by: Int(header.widths.offsetSize))
      guard !overflow, distance < stringOffsets.count else { return nil }
      // GNU's form of DWARF 4 has no header before the offsets.
      let base = value.form == 0x1F02 ? 0 : header.stringBase
      var cursor = DebugCursor(stringOffsets, at: base &+ distance)
      let offset = cursor.word(Int(header.widths.offsetSize))
      return cursor.failed ? nil : text(strings, offset)
    default: return nil
    }
  }
}

extension DebugEntries {
  /// The text that a value names.
  func text(_ value: DebugValue, _ unit: Int32) -> NameView? {
    data.text(value, units.headers[Int(unit)])
  }

  /// Where an attribute of class address leads.
  func place(_ value: DebugValue, _ unit: Int32) -> DebugPlace? {
    switch value.form {
    case 0x01: DebugPlace(value.number, isLinked: data.isLinked, isThreadLocal: false)
    case 0x1B, 0x29, 0x2A, 0x2B, 0x2C, 0x1F01:
      DebugPlace(
        address(value.number, unit), isLinked: data.isLinked, isThreadLocal: false)
    default: nil
    }
  }

  /// The bytes of a block or expression.
  private func cursor(_ value: DebugValue) -> DebugCursor {
    let start = Int(clamping: value.number)
    return DebugCursor(data.info, at: start, end: start &+ Int(value.count))
  }

  /// Where an expression leads that is nothing but an address, or a thread-local one.
  func place(ofExpression value: DebugValue, _ unit: Int32) -> DebugPlace? {
    var cursor = cursor(value)
    let word: UInt64
    switch cursor.take(UInt8.self) {
    case 0x03, 0x0E: word = cursor.take(UInt64.self)  // DW_OP_addr, DW_OP_const8u
    case 0xA1, 0xA2, 0xFB, 0xFC:  // DW_OP_addrx, constx, GNU_addr_index, GNU_const_index
      word = address(cursor.unsigned(), unit)
    default: return nil
    }
    // DW_OP_form_tls_address or GNU's. A piece is not the variable.
    var isThreadLocal = false
    if cursor.at < cursor.end {
      let operation = cursor.take(UInt8.self)
      guard operation == 0x9B || operation == 0xE0 else { return nil }
      isThreadLocal = true
    }
    return cursor.at == cursor.end
      ? DebugPlace(word, isLinked: data.isLinked, isThreadLocal: isThreadLocal) : nil
  }

  /// Whether an expression computes a variable from memory: an optimiser has split it, or made a flag of it.
  func isSplit(_ value: DebugValue) -> Bool {
    var cursor = cursor(value)
    var isInMemory = false
    var hasPieces = false
    var isScaled = false
    while cursor.at < cursor.end {
      let operation = cursor.take(UInt8.self)
      switch operation {
      case 0x03, 0xA1, 0xFB: isInMemory = true  // DW_OP_addr, DW_OP_addrx
      case 0x93, 0x9D: hasPieces = true  // DW_OP_piece, DW_OP_bit_piece
      case 0x1E: isScaled = true  // DW_OP_mul
      default: break
      }
      guard DebugForm.skipOperands(of: operation, &cursor) else { return false }
    }
    return isInMemory && (hasPieces || isScaled) && !cursor.failed
  }

  /// A number: a constant, or an expression that is one (`DW_OP_plus_uconst`, `DW_OP_constu`); nil for
  /// what must be computed.
  func number(_ value: DebugValue) -> Int64? {
    if DebugForm.isConstant(value.form) { return Int64(bitPattern: value.number) }
    guard value.isPresent, value.count > 0 else { return nil }
    var cursor = cursor(value)
    let operation = cursor.take(UInt8.self)
    switch operation {
    case 0x30...0x4F: return cursor.at == cursor.end ? Int64(operation - 0x30) : nil  // DW_OP_lit…
    case 0x08: return Int64(clamping: cursor.take(UInt8.self))
    case 0x0A: return Int64(clamping: cursor.take(UInt16.self))
    case 0x0C: return Int64(clamping: cursor.take(UInt32.self))
    case 0x10, 0x23:
      let number = cursor.unsigned()
      return cursor.at == cursor.end ? Int64(clamping: number) : nil
    default: return nil
    }
  }

  /// The address at an index of `.debug_addr`.
  func address(_ index: UInt64, _ unit: Int32) -> UInt64 {
    guard index < UInt64(data.addresses.count / 8) else { return 0 }
    let base = units.headers[Int(unit)].addressBase
    var cursor = DebugCursor(data.addresses, at: base &+ Int(index) * 8)
    return cursor.take(UInt64.self)
  }
}

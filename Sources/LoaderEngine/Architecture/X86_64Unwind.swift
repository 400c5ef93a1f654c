// How a debugger walks through the stubs. DWARF 5, section 6.4; LSB, “Exception Frames”.

extension X86_64 {
  /// An `.eh_frame` for stubs: cell 0, which the thunks of the others jump to, and all others.
  static func stubUnwindTable(_ stubs: AddressRange) -> [UInt8] {
    var table: [UInt8] = []
    func word(_ value: UInt32) { withBytes(of: UInt64(value), 4) }
    func withBytes(of value: UInt64, _ count: UInt64) {
      for shift in 0..<count { table.append(UInt8(truncatingIfNeeded: value >> (shift * 8))) }
    }
    /// Closes a record with DW_CFA_nop.
    func pad(_ start: Int) {
      while (table.count - start) % 8 != 0 { table.append(0) }
      let length = table.count - start - 4
      for byte in 0..<4 { table[start + byte] = UInt8(truncatingIfNeeded: length >> (byte * 8)) }
    }
    func record(_ range: AddressRange, _ instructions: [UInt8]) {
      let start = table.count
      word(0)
      word(UInt32(start + 4))  // distance to the CIE at 0
      withBytes(of: range.start.value, 8)
      withBytes(of: range.size, 8)
      table.append(0)
      table += instructions
      pad(start)
    }
    word(0)
    word(0)
    // version 1, "zR", code 1, data -8, return address in 16; addresses absolute.
    table += [1, 0x7A, 0x52, 0, 1, 0x78, 16, 1, 0]
    // CFA = rsp + 8, return address at CFA - 8
    table += [0x0C, 7, 8, 0x90, 1]
    pad(0)
    // The token is on the stack.
    record(AddressRange(start: stubs.start, size: cellSize), [0x0E, 16])
    // CFA = rsp + 8 + ((rip & 31) >= behind the push ? 8 : 0), as ld writes it for a PLT.
    let pushed = UInt8(thunkOffset) + 5
    let expression: [UInt8] = [
      0x77, 8, 0x80, 0, 0x4F, 0x1A, 0x08, pushed, 0x2A, 0x33, 0x24, 0x22,
    ]
    record(
      AddressRange(start: stubs.start &+ cellSize, size: stubs.size - cellSize),
      [0x0F, UInt8(expression.count)] + expression)
    return table
  }
}

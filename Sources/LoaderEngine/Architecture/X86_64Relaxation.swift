// Instructions that load an address from the GOT, and what they become when the address is known and fits.
// psABI AMD64 1.0, section B.2 “Optimize GOTPCRELX Relocations”; `field` is the 32-bit displacement, A is -4.
//
//     call *foo@GOTPCREL(%rip)        ff 15 →  addr32 call foo       67 e8
//     jmp *foo@GOTPCREL(%rip)         ff 25 →  jmp foo; nop          e9 … 90
//     mov foo@GOTPCREL(%rip), %reg    8b    →  lea foo(%rip), %reg   8d
//                                     8b    →  mov $foo, %reg        c7 /0, when only that reaches
//     test %reg, foo@GOTPCREL(%rip)   85    →  test $foo, %reg       f7 /0
//     op foo@GOTPCREL(%rip), %reg     03…3b →  op $foo, %reg         81 /n

extension X86_64 {
  /// Where the instruction of a relaxable relocation keeps its register's upper bits.
  package enum LoadForm: Sendable {
    /// R_X86_64_GOTPCRELX: no prefix.
    case plain
    /// R_X86_64_REX_GOTPCRELX: REX, three bytes before the field.
    case rex
    /// R_X86_64_CODE_4_GOTPCRELX: REX2, four bytes before the field.
    case rex2
  }

  /// What an instruction became.
  package enum Rewrite: String, Sendable {
    /// S + A - P at the place of the relocation.
    case call, lea
    /// S + A - (P - 1), one byte before it.
    case jump
    /// S as a signed 32-bit number at the place of the relocation.
    case immediate
    /// No relocation stands there: a `lea` of a function in its own section now takes the stub's address.
    case stub
  }

  /// nil for relocations whose instructions stay as they are.
  @inline(__always)
  package static func loadForm(_ type: UInt32) -> LoadForm? {
    switch type {
    case 41: .plain
    case 42: .rex
    case 43: .rex2
    default: nil
    }
  }

  /// Whether the instruction around `field` calls or jumps to what the entry holds.
  package static func isIndirectBranch(
    _ type: UInt32, field: UnsafeMutableRawPointer, offset: UInt64
  ) -> Bool {
    guard loadForm(type) == .plain, offset >= 2 else { return false }
    let code = Instruction(field: field)
    return code.opcode == 0xFF && (code.modrm == 0x15 || code.modrm == 0x25)
  }

  /// Rewrites the instruction around `field`.
  ///
  /// - Parameters:
  ///   - field: the displacement; the section's bytes lie around it.
  ///   - offset: of the field in its section: how many bytes lie before it.
  ///   - size: of the section in bytes.
  ///   - s: what the instruction is to compute.
  ///   - p: where the field runs.
  /// - Returns: nil, and nothing is changed, when the instruction is another or `s` does not fit.
  package static func relax(
    _ type: UInt32, field: UnsafeMutableRawPointer, offset: UInt64, size: UInt64, s: UInt64,
    p: UInt64
  ) -> Rewrite? {
    guard let form = loadForm(type),
      offset >= 4 || (form == .plain && offset >= 2)
        || (form == .rex && offset >= 3), offset <= size, size - offset >= 4
    else { return nil }
    let code = Instruction(field: field)
    let next = p &+ 4
    if form == .plain, code.opcode == 0xFF {
      switch code.modrm {
      // `66 48 ff 15` calls __tls_get_addr; with another prefix behind its REX it would be a call of 16 bits.
      case 0x15 where offset >= 4 && code.isPadded: return nil
      case 0x15:
        guard let delta = Int32(exactly: Int64(bitPattern: s &- next)) else { return nil }
        code.write(0x67, 0xE8)
        field.storeBytes(of: delta, as: Int32.self)
        return .call
      case 0x25:
        guard let delta = Int32(exactly: Int64(bitPattern: s &- (next &- 1))) else { return nil }
        code.write(0xE9, 0)
        (field - 1).storeBytes(of: delta, as: Int32.self)
        field.storeBytes(of: 0x90, toByteOffset: 3, as: UInt8.self)
        return .jump
      default: return nil
      }
    }
    guard code.modrm & 0xC7 == 0x05, code.hasPrefix(form) else { return nil }
    let register = code.modrm >> 3 & 7
    if code.opcode == 0x8B, let delta = Int32(exactly: Int64(bitPattern: s &- next)) {
      code.write(0x8D, code.modrm)
      field.storeBytes(of: delta, as: Int32.self)
      return .lea
    }
    guard let number = Int32(exactly: Int64(bitPattern: s)) else { return nil }
    switch code.opcode {
    case 0x8B: code.write(0xC7, 0xC0 | register)
    case 0x85: code.write(0xF7, 0xC0 | register)
    case 0x03, 0x0B, 0x13, 0x1B, 0x23, 0x2B, 0x33, 0x3B:
      code.write(0x81, 0xC0 | code.opcode & 0x38 | register)
    default: return nil
    }
    code.moveRegister(form)
    field.storeBytes(of: number, as: Int32.self)
    return .immediate
  }

  /// The bytes before a displacement.
  private struct Instruction {
    let field: UnsafeMutableRawPointer

    var opcode: UInt8 { (field - 2).load(as: UInt8.self) }
    var modrm: UInt8 { (field - 1).load(as: UInt8.self) }

    var isPadded: Bool {
      (field - 3).load(as: UInt8.self) == 0x48 && (field - 4).load(as: UInt8.self) == 0x66
    }

    func write(_ opcode: UInt8, _ modrm: UInt8) {
      (field - 2).storeBytes(of: opcode, as: UInt8.self)
      (field - 1).storeBytes(of: modrm, as: UInt8.self)
    }

    func hasPrefix(_ form: LoadForm) -> Bool {
      switch form {
      case .plain: true
      case .rex: (field - 3).load(as: UInt8.self) & 0xF0 == 0x40
      // REX2 is d5 and a payload M0 R4 X4 B4 W R3 X3 B3; M0 would mean another opcode map.
      case .rex2:
        (field - 4).load(as: UInt8.self) == 0xD5 && (field - 3).load(as: UInt8.self) & 0x80 == 0
      }
    }

    /// The register goes from ModRM.reg to ModRM.rm, its upper bits from R to B.
    func moveRegister(_ form: LoadForm) {
      let mask: UInt8
      switch form {
      case .plain: return
      case .rex: mask = 0x04
      case .rex2: mask = 0x44
      }
      let prefix = (field - 3).load(as: UInt8.self)
      (field - 3).storeBytes(of: prefix & ~mask | (prefix & mask) >> 2, as: UInt8.self)
    }
  }
}

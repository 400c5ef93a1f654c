// Relocations as rows: each row by its number, and each field by the values it takes and refuses.
import LoaderEngine
import Testing

@Suite("Relocation rows")
struct RelocationRowTests {
  // psABI AMD64, table 4.10, as readelf names them.
  static let table: [(UInt32, String, Formula, Field)] = [
    (0, "R_X86_64_NONE", .none, .none),
    (1, "R_X86_64_64", .absolute, .word64),
    (2, "R_X86_64_PC32", .pcRelative, .signed32),
    (3, "R_X86_64_GOT32", .gotEntryOffset, .signed32),
    (4, "R_X86_64_PLT32", .branch, .signed32),
    (9, "R_X86_64_GOTPCREL", .gotEntryRelative, .signed32),
    (10, "R_X86_64_32", .absolute, .unsigned32),
    (11, "R_X86_64_32S", .absolute, .signed32),
    (12, "R_X86_64_16", .absolute, .word16),
    (13, "R_X86_64_PC16", .pcRelative, .signed16),
    (14, "R_X86_64_8", .absolute, .word8),
    (15, "R_X86_64_PC8", .pcRelative, .signed8),
    (17, "R_X86_64_DTPOFF64", .moduleOffset, .word64),
    (18, "R_X86_64_TPOFF64", .threadOffset, .word64),
    (19, "R_X86_64_TLSGD", .generalDynamic, .signed32),
    (20, "R_X86_64_TLSLD", .localDynamic, .signed32),
    (21, "R_X86_64_DTPOFF32", .moduleOffset, .signed32),
    (22, "R_X86_64_GOTTPOFF", .threadOffsetEntry, .signed32),
    (23, "R_X86_64_TPOFF32", .threadOffset, .signed32),
    (24, "R_X86_64_PC64", .pcRelative, .word64),
    (25, "R_X86_64_GOTOFF64", .fromGOT, .word64),
    (26, "R_X86_64_GOTPC32", .gotRelative, .signed32),
    (27, "R_X86_64_GOT64", .gotEntryOffset, .word64),
    (28, "R_X86_64_GOTPCREL64", .gotEntryRelative, .word64),
    (29, "R_X86_64_GOTPC64", .gotRelative, .word64),
    (30, "R_X86_64_GOTPLT64", .gotEntryOffset, .word64),
    (31, "R_X86_64_PLTOFF64", .branchFromGOT, .word64),
    (32, "R_X86_64_SIZE32", .size, .unsigned32),
    (33, "R_X86_64_SIZE64", .size, .word64),
    (34, "R_X86_64_GOTPC32_TLSDESC", .descriptor, .signed32),
    (35, "R_X86_64_TLSDESC_CALL", .descriptorCall, .none),
    (39, "R_X86_64_PC32_BND", .pcRelative, .signed32),
    (40, "R_X86_64_PLT32_BND", .branch, .signed32),
    (41, "R_X86_64_GOTPCRELX", .gotEntryRelative, .signed32),
    (42, "R_X86_64_REX_GOTPCRELX", .gotEntryRelative, .signed32),
    (43, "R_X86_64_CODE_4_GOTPCRELX", .gotEntryRelative, .signed32),
    (44, "R_X86_64_CODE_4_GOTTPOFF", .threadOffsetEntry, .signed32),
    (45, "R_X86_64_CODE_4_GOTPC32_TLSDESC", .descriptor, .signed32),
    (46, "R_X86_64_CODE_5_GOTPCRELX", .gotEntryRelative, .signed32),
    (47, "R_X86_64_CODE_5_GOTTPOFF", .threadOffsetEntry, .signed32),
    (48, "R_X86_64_CODE_5_GOTPC32_TLSDESC", .descriptor, .signed32),
    (49, "R_X86_64_CODE_6_GOTPCRELX", .gotEntryRelative, .signed32),
    (50, "R_X86_64_CODE_6_GOTTPOFF", .threadOffsetEntry, .signed32),
    (51, "R_X86_64_CODE_6_GOTPC32_TLSDESC", .descriptor, .signed32),
  ]

  @Test("A number has its name, formula and field", arguments: table)
  func row(_ type: UInt32, _ name: String, _ formula: Formula, _ field: Field) throws {
    let row = try #require(X86_64.row(type))
    #expect("\(row.name)" == name)
    #expect(row.formula == formula)
    #expect(row.field == field)
  }

  @Test("Dynamic relocations and numbers nobody gave have no row")
  func noRow() {
    let known = Set(RelocationRowTests.table.map(\.0))
    for type in UInt32(0)..<300 { #expect((X86_64.row(type) != nil) == known.contains(type)) }
    for type in [UInt32.max, 1 << 31] { #expect(X86_64.row(type) == nil) }
    #expect(known.max() == UInt32(X86_64.typeCount - 1))
  }
}

@Suite("Fields of relocations")
struct FieldTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var field: Field
    var width: Int
    var fits: [Int64]
    var overflows: [Int64]
    var testDescription: String { "\(field)" }
  }

  static let cases = [
    Case(field: .none, width: 0, fits: [0, .max, .min], overflows: []),
    Case(
      field: .word8, width: 1, fits: [-128, -1, 0, 127, 255], overflows: [-129, 256, .max, .min]),
    Case(field: .signed8, width: 1, fits: [-128, -1, 127], overflows: [-129, 128, 255, .max]),
    Case(
      field: .word16, width: 2, fits: [-32768, -1, 0, 65535], overflows: [-32769, 65536, .min]),
    Case(field: .signed16, width: 2, fits: [-32768, 32767], overflows: [-32769, 32768, 65535]),
    Case(
      field: .word32, width: 4, fits: [-1 << 31, -1, (1 << 32) - 1],
      overflows: [(-1 << 31) - 1, 1 << 32, .max, .min]),
    Case(
      field: .unsigned32, width: 4, fits: [0, 1 << 31, (1 << 32) - 1],
      overflows: [-1, 1 << 32, .max, .min]),
    Case(
      field: .signed32, width: 4, fits: [-1 << 31, -1, 0, (1 << 31) - 1],
      overflows: [1 << 31, (-1 << 31) - 1, .max, .min]),
    Case(field: .word64, width: 8, fits: [.min, -1, 0, .max], overflows: []),
  ]

  @Test(
    "It writes its width, little-endian, unaligned, and refuses what does not fit", arguments: cases
  )
  func writes(_ test: Case) {
    #expect(test.field.width == test.width)
    for value in test.fits + test.overflows {
      var memory = [UInt8](repeating: 0xA5, count: 24)
      let fits = memory.withUnsafeMutableBytes { bytes in
        bytes.baseAddress.map { test.field.write(UInt64(bitPattern: value), at: $0 + 5) }
      }
      #expect(fits == test.fits.contains(value), "\(value)")
      var expected = [UInt8](repeating: 0xA5, count: 24)
      if test.fits.contains(value) {
        for index in 0..<test.width {
          expected[5 + index] = UInt8(truncatingIfNeeded: value >> (8 * Int64(index)))
        }
      }
      #expect(memory == expected, "\(value): neighbours stay, and a refused value writes nothing")
    }
  }
}

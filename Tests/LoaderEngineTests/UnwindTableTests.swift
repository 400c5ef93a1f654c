// A long unwind table is proven from its beginning and from the record that its header has in the middle. What the
// header says there is a claim: true or not, the same defects are found.
import LoaderEngine
import TestFixtures
import Testing

@Suite("Unwind tables of libraries")
struct UnwindTableTests {
  /// A library of 300 functions, as bytes, and where its records are.
  private struct Library {
    var bytes: [UInt8]
    /// File offsets of FDEs, by place in the table. They are virtual addresses, too.
    var records: [Int] = []
    /// Of the word of `.eh_frame_hdr` for the FDE in the middle.
    var middle = 0

    init(_ flags: [String]) throws {
      let functions = (0..<300).map { number in
        "int f\(number)(int x) { return x \(number % 3 == 0 ? "+ g(x)" : "* 3") - \(number); }"
      }
      bytes = try SharedObject(
        "unwinding", flags: flags,
        "int g(int x);\n" + functions.joined(separator: "\n")
          + "\nint g(int x) { return x / 7; }"
      ).bytes()
      let layout = ObjectLayout(bytes)
      let header = try #require(layout.range(of: ".eh_frame_hdr"))
      middle = header.lowerBound + 12 + word(header.lowerBound + 8) / 2 * 8 + 4
      let table = try #require(layout.range(of: ".eh_frame"))
      var at = table.lowerBound
      while at < table.upperBound, word(at) != 0 {
        if word(at + 4) != 0 { records.append(at) }
        at += 4 + word(at)
      }
      try #require(records.count > 300)
      // The header counts from its own beginning.
      try #require(records.contains(header.lowerBound + word(middle)))
    }

    func word(_ at: Int) -> Int {
      Int(Int32(truncatingIfNeeded: (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << ($1 * 8) }))
    }

    mutating func set(_ at: Int, to value: Int) {
      for byte in 0..<4 { bytes[at + byte] = UInt8(truncatingIfNeeded: value >> (byte * 8)) }
    }

    /// Nil when it is loaded; otherwise where its unwind table is said to be wrong.
    func defect() throws -> UInt64? {
      let image: Image
      do throws(LinkError) {
        image = try LinkContext().loadLibrary(
          ImageSource(FileContents(bytes), name: "unwinding"))
      } catch {
        guard case .malformed(".eh_frame", let offset, _) = error.reason else { throw error }
        return offset
      }
      #expect(try image.symbol("f7", as: (@convention(c) (Int32) -> Int32).self).value(5) == 8)
      return nil
    }
  }

  /// What the header may have in the middle, as a distance from what is true.
  private static let claims = [0, 2, -1, 8, 0x4000_0000, -0x7000_0000]

  @Test("Whatever the header has in the middle, a sound one is loaded", arguments: claims)
  func sound(claim: Int) throws {
    for flags in [[], ["-fasynchronous-unwind-tables", "-O2", "-fno-inline"]] {
      var library = try Library(flags)
      library.set(library.middle, to: library.word(library.middle) + claim)
      #expect(try library.defect() == nil)
    }
  }

  @Test("and a record for code outside is found, wherever it is", arguments: claims)
  func outside(claim: Int) throws {
    let sound = try Library([])
    let count = sound.records.count
    for record in [0, 1, count / 4, count / 2 - 1, count / 2, count / 2 + 1, count - 2, count - 1] {
      var library = sound
      library.set(library.middle, to: library.word(library.middle) + claim)
      let at = library.records[record]
      library.set(at + 12, to: 0x7000_0000)
      let defect = try #require(try library.defect(), "record \(record)")
      #expect(at..<at + 16 ~= Int(defect), "record \(record)")
      // Two: the first is told.
      library.set(library.records[count - 1] + 8, to: 0x7000_0000)
      #expect(try library.defect() == defect, "record \(record)")
    }
  }

  @Test("and one that leads to no CIE, or out of the table", arguments: claims)
  func broken(claim: Int) throws {
    let sound = try Library([])
    let count = sound.records.count
    for record in [1, count / 2 - 1, count / 2, count / 2 + 1, count - 1] {
      for (field, value) in [(4, 0x1_0000), (4, 8), (0, 0x10_0000)] {
        var library = sound
        library.set(library.middle, to: library.word(library.middle) + claim)
        let at = library.records[record]
        library.set(at + field, to: value)
        let defect = try #require(try library.defect(), "record \(record), \(field), \(value)")
        #expect(at..<at + 16 ~= Int(defect), "record \(record), \(field), \(value)")
      }
    }
  }
}

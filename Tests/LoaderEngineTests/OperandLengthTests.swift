// What the bytes before a displacement say of its instruction's end is what a decoder finds that walks there from the
// function's start: over all of the C library, which is written in C and in assembly.
import CLoaderSupport
import Foundation
import LoaderEngine
import TestFixtures
import Testing

@Suite("Where an instruction ends")
struct OperandLengthTests {
  @Test("The bytes before a displacement tell what a decoder finds, all over libc")
  func library() throws {
    let path = "/usr/lib/x86_64-linux-gnu/libc.a"
    let archive = try Archive(
      Bytes(FileContents([UInt8](try Data(contentsOf: URL(filePath: path))))), name: path)
    let walker = InstructionWalker()
    var (told, untold) = (0, 0)
    for member in archive.members {
      guard let bytes = member.bytes else { continue }
      let object = try ObjectFile(bytes, name: member.name)
      for list in object.relocationSections {
        let section = Int(object.sections[list].info)
        guard object.sections[section].isExecutable,
          let code = object.contents(ofSection: section)
        else { continue }
        let buffer = UnsafeRawBufferPointer(start: code.base, count: code.count)
        let relocations = object.relocations(inSection: list)
        // One walk for all: they come in order. Where data lies between instructions, a decoder cannot tell either.
        var start: UInt64 = 0
        for index in 0..<relocations.count {
          let relocation = relocations[index]
          guard relocation.type == UInt32(R_X86_64_PC32), relocation.r_offset >= start,
            let instruction = walker.instruction(
              covering: relocation.r_offset, from: start, in: buffer)
          else { continue }
          start = instruction.lowerBound
          guard let length = X86_64.lengthFromDisplacement(code.base, relocation.r_offset) else {
            untold += 1
            continue
          }
          told += 1
          #expect(
            relocation.r_offset + length == instruction.upperBound,
            "\(member.name), section \(section) at \(relocation.r_offset)")
        }
      }
    }
    #expect(told > 5000)
    #expect(untold * 10 < told, "\(untold) of \(told + untold) are left to the decoder")
  }

  @Test("Doubt is left to the decoder")
  func doubt() {
    func length(_ code: [UInt8]) -> UInt64? {
      let bytes = [UInt8](repeating: 0x90, count: 8) + code + [0, 0, 0, 0]
      return bytes.withUnsafeBytes {
        X86_64.lengthFromDisplacement($0.baseAddress!, UInt64(8 + code.count))
      }
    }
    #expect(length([0x8B, 0x05]) == 4, "mov x(%rip), %eax")
    #expect(length([0x83, 0x3D]) == 5, "cmpl $1, x(%rip)")
    #expect(length([0x48, 0xC7, 0x05]) == 8, "movq $1, x(%rip)")
    #expect(length([0x66, 0xC7, 0x05]) == nil, "movw $1, x(%rip): two bytes, if 66 belongs to it")
    #expect(length([0x66, 0x41, 0x81, 0x05]) == nil)
    #expect(length([0x0F, 0xC1, 0x05]) == nil, "xadd, or a shift behind a byte 0F")
    #expect(length([0x0F, 0xB6, 0x05]) == 4, "movzbl x(%rip), %eax")
    #expect(length([0xC4, 0xE3, 0x7D, 0x39, 0x05]) == nil, "vextracti128 $1, %ymm0, x(%rip)")
    #expect(length([0x62, 0xF3, 0x7D, 0x48, 0x3B, 0x05]) == nil, "vextracti32x8")
    #expect(length([0x66, 0x0F, 0x3A, 0x63, 0x05]) == nil, "pcmpistri")
    #expect(length([0xF6, 0x05]) == 5, "testb $1, x(%rip)")
    #expect(length([0xF7, 0x1D]) == 4, "negl x(%rip)")
    #expect(length([0x90, 0x90]) == nil, "no RIP-relative operand")
    // A comparison takes the likelier answer.
    let short: [UInt8] = [0x90, 0x90, 0x90, 0x66, 0xC7, 0x05, 0, 0, 0, 0, 1, 0]
    short.withUnsafeBytes { code in
      guard let start = code.baseAddress else { return }
      #expect(X86_64.likelyLengthFromDisplacement(start, 6) == 6)
    }
    // At the start of a section there is nothing before.
    let first: [UInt8] = [0x83, 0x05, 0, 0, 0, 0, 1]
    first.withUnsafeBytes { code in
      guard let start = code.baseAddress else { return }
      #expect(X86_64.lengthFromDisplacement(start, 2) == 5)
      #expect(X86_64.lengthFromDisplacement(start, 1) == nil)
    }
  }
}

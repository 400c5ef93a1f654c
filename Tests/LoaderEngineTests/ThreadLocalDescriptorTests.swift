// TLS descriptors are called where a compiler expects every register but rax to survive: all are
// loaded with patterns around the call, and compared.
import CLoaderSupport
import Foundation
import LoaderEngine
import TestFixtures
import Testing

@Suite("TLS descriptors")
struct ThreadLocalDescriptorTests {
  /// `uint64_t probe(descriptor, before, after, vectors, skew)`: 14 general registers at 0, 32 vector
  /// registers of 64 bytes at 128, 8 mask registers at 2176. Vectors: 0 SSE, 1 AVX, 2 AVX-512.
  static let probe = """
    .macro each_vector operation, name, last, source
      .altmacro
      .set i, 0
      .rept \\last
        one_vector \\operation, \\name, %i, \\source
        .set i, i + 1
      .endr
      .noaltmacro
    .endm
    .macro one_vector operation, name, number, isLoad
      .if \\isLoad
        \\operation 128 + 64 * \\number(%rsi), %\\name\\number
      .else
        \\operation %\\name\\number, 128 + 64 * \\number(%rax)
      .endif
    .endm
    .macro each_mask isLoad
      .irp number, 0, 1, 2, 3, 4, 5, 6, 7
        .if \\isLoad
          kmovw 2176 + 8 * \\number(%rsi), %k\\number
        .else
          kmovw %k\\number, 2176 + 8 * \\number(%rax)
        .endif
      .endr
    .endm
    .text
    .globl probe
    .type probe, @function
    probe:
      push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15
      sub $40, %rsp
      sub %r8, %rsp
      mov %rdi, (%rsp); mov %rdx, 8(%rsp); mov %rcx, 16(%rsp); mov %r8, 24(%rsp)
      cmp $1, %ecx
      je 1f
      ja 2f
      each_vector movups, xmm, 16, 1
      jmp 3f
    1: each_vector vmovups, ymm, 16, 1
      jmp 3f
    2: each_vector vmovups, zmm, 32, 1
      each_mask 1
    3: mov %rsi, %rax
      mov (%rax), %rbx; mov 8(%rax), %rcx; mov 16(%rax), %rdx; mov 24(%rax), %rsi
      mov 32(%rax), %rdi; mov 40(%rax), %rbp; mov 48(%rax), %r8; mov 56(%rax), %r9
      mov 64(%rax), %r10; mov 72(%rax), %r11; mov 80(%rax), %r12; mov 88(%rax), %r13
      mov 96(%rax), %r14; mov 104(%rax), %r15
      mov (%rsp), %rax
      call *(%rax)
      push %rax
      mov 16(%rsp), %rax
      mov %rbx, (%rax); mov %rcx, 8(%rax); mov %rdx, 16(%rax); mov %rsi, 24(%rax)
      mov %rdi, 32(%rax); mov %rbp, 40(%rax); mov %r8, 48(%rax); mov %r9, 56(%rax)
      mov %r10, 64(%rax); mov %r11, 72(%rax); mov %r12, 80(%rax); mov %r13, 88(%rax)
      mov %r14, 96(%rax); mov %r15, 104(%rax)
      mov 24(%rsp), %rcx
      cmp $1, %ecx
      je 1f
      ja 2f
      each_vector movups, xmm, 16, 0
      jmp 3f
    1: each_vector vmovups, ymm, 16, 0
      jmp 3f
    2: each_vector vmovups, zmm, 32, 0
      each_mask 0
    3: pop %rax
      mov 24(%rsp), %r8
      add %r8, %rsp
      add $40, %rsp
      pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
      ret
    """

  static let vectors: Int = {
    let flags = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    return flags.contains(" avx512f ") ? 2 : flags.contains(" avx ") ? 1 : 0
  }()

  /// Calls through a descriptor.
  ///
  /// - Returns: what it answered, and the bytes of registers before and after.
  static func call(_ program: Published, _ descriptor: ThreadLocalDescriptor, skew: UInt64) throws
    -> (answer: UInt64, before: [UInt8], after: [UInt8])
  {
    typealias Probe =
      @convention(c) (
        UnsafeRawPointer, UnsafeRawPointer, UnsafeMutableRawPointer, UInt64, UInt64
      ) -> UInt64
    let probe = unsafeBitCast(UInt(try program.address("probe").value), to: Probe.self)
    let words = [descriptor.resolver.value, descriptor.argument]
    var before = [UInt8](repeating: 0, count: 2240)
    func fill(_ range: Range<Int>) {
      for index in range { before[index] = UInt8(truncatingIfNeeded: index * 37 + 11) }
    }
    fill(0..<112)
    let width = [16, 32, 64][vectors]
    for register in 0..<(vectors == 2 ? 32 : 16) {
      fill((128 + 64 * register)..<(128 + 64 * register + width))
    }
    if vectors == 2 { for mask in 0..<8 { fill((2176 + 8 * mask)..<(2178 + 8 * mask)) } }
    var after = [UInt8](repeating: 0, count: 2240)
    let answer = words.withUnsafeBytes { words in
      before.withUnsafeBytes { before in
        after.withUnsafeMutableBytes { after -> UInt64 in
          guard let words = words.baseAddress, let before = before.baseAddress,
            let after = after.baseAddress
          else { return 0 }
          return probe(words, before, after, UInt64(vectors), skew)
        }
      }
    }
    return (answer, before, after)
  }

  @Test(
    "All registers survive, at first touch and later, on any stack",
    arguments: [UInt64(0), 8])
  func registers(skew: UInt64) throws {
    let program = try Published(Self.probe, .assembler)
    let image = ThreadLocalModuleTests.Image(900) { UInt8(truncatingIfNeeded: $0) }
    let module = try ThreadLocalModule(name: "m", size: 3000, alignment: 64, image: image.range)
    let records = ThreadLocalDescriptors()
    let descriptor = records.dynamic(module: module.id, offset: 24)
    for _ in 0..<3 {
      let worker = Worker()
      defer { worker.end() }
      worker.run {
        for _ in 0..<2 {
          errno = 4711
          guard let result = try? Self.call(program, descriptor, skew: skew) else {
            Issue.record("not callable")
            return
          }
          #expect(errno == 4711)
          #expect(result.before == result.after)
          let address = UInt64(pthread_self()) &+ result.answer
          #expect(Address(address) == module.address(offset: 24))
        }
      }
    }
  }

  @Test("Each kind of descriptor finds its variable")
  func kinds() throws {
    let program = try Published(Self.probe, .assembler)
    let own = UInt64(pthread_self())
    let space = try LinkSpace()
    let id = space.names.intern("errno")
    let variable = try #require(space.host.findThreadLocal(id, space.names[id]))
    let place = UInt64(UInt(bitPattern: __errno_location()))
    let records = ThreadLocalDescriptors()
    let table: [(ThreadLocalDescriptor, UInt64)] = [
      (.fixed(threadOffset: variable.threadOffset ?? 0), place),
      (records.dynamic(module: variable.module, offset: variable.offset), place),
      (.undefined(addend: 0), 0), (.undefined(addend: 40), 40),
    ]
    for (descriptor, expected) in table {
      let result = try Self.call(program, descriptor, skew: 0)
      #expect(own &+ result.answer == expected)
      #expect(result.before == result.after)
    }
  }

  @Test("Records stay where they are, however many there are")
  func records() throws {
    let module = try ThreadLocalModule(
      name: "m", size: 4096, alignment: 8, image: AddressRange(start: Address(0), size: 0))
    let program = try Published(Self.probe, .assembler)
    let records = ThreadLocalDescriptors()
    let all = (0..<1000).map { records.dynamic(module: module.id, offset: $0) }
    #expect(Set(all.map(\.argument)).count == 1000)
    for (offset, descriptor) in all.enumerated() {
      let result = try Self.call(program, descriptor, skew: 0)
      #expect(
        Address(UInt64(pthread_self()) &+ result.answer) == module.address(offset: UInt64(offset)))
    }
  }
}

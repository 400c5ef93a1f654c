// A filter on the system calls of the calling thread, for tests in child processes: what is not allowed
// ends the process or fails. Linux: seccomp(2), struct sock_filter.
import Glibc

/// Which system calls the calling thread may make from now on, for good.
enum SystemCallFilter {
  /// All but these end the process with SIGSYS (x86-64 numbers).
  case only([UInt32])
  /// These fail with an `errno`.
  case refuse([UInt32], Int32)

  static let membarrier: UInt32 = 324
  static let memfdCreate: UInt32 = 319
  static let exitGroup: UInt32 = 231

  /// - Returns: whether the kernel took it.
  func install() -> Bool {
    let allow: UInt32 = 0x7FFF_0000
    let (numbers, matching, others): ([UInt32], UInt32, UInt32) =
      switch self {
      case .only(let numbers): (numbers + [SystemCallFilter.exitGroup], allow, 0x8000_0000)
      case .refuse(let numbers, let code): (numbers, 0x0005_0000 | UInt32(code), allow)
      }
    func instruction(_ code: UInt64, _ jumpIfTrue: Int, _ operand: UInt32) -> UInt64 {
      code | UInt64(jumpIfTrue) << 16 | UInt64(operand) << 32
    }
    var program = [instruction(0x20, 0, 0)]
    for (index, number) in numbers.enumerated() {
      program.append(instruction(0x15, numbers.count - index, number))
    }
    program += [instruction(0x06, 0, others), instruction(0x06, 0, matching)]
    typealias Control = @convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32
    guard let symbol = dlsym(nil, "prctl") else { return false }
    let prctl = unsafeBitCast(symbol, to: Control.self)
    return program.withUnsafeBufferPointer { program in
      let head = [UInt(program.count), UInt(bitPattern: program.baseAddress)]
      return head.withUnsafeBufferPointer { head in
        prctl(38, 1, 0, 0, 0) == 0 && prctl(22, 2, UInt(bitPattern: head.baseAddress), 0, 0) == 0
      }
    }
  }
}

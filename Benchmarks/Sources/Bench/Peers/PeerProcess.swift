// A peer that is a program of its own and stays: it answers each line with one line of numbers.
internal import Glibc

final class PeerProcess {
  private let child: pid_t
  private let questions: UnsafeMutablePointer<FILE>
  private let answers: UnsafeMutablePointer<FILE>
  private let program: String

  init(_ program: String, _ arguments: [String] = []) throws {
    self.program = program
    var down: [Int32] = [0, 0]
    var up: [Int32] = [0, 0]
    guard pipe(&down) == 0, pipe(&up) == 0 else { throw BenchError("no pipe") }
    // Our ends are ours: a later child must not keep them open.
    for end in down + up { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    child = try Subprocess.start(program, arguments, input: down[0], output: up[1])
    close(down[0])
    close(up[1])
    guard let questions = fdopen(down[1], "w"), let answers = fdopen(up[0], "r") else {
      throw BenchError("no stream")
    }
    self.questions = questions
    self.answers = answers
  }

  deinit {
    fclose(questions)
    fclose(answers)
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
  }

  func ask(_ question: String) throws -> [Double] {
    fputs(question + "\n", questions)
    fflush(questions)
    var line = [CChar](repeating: 0, count: 512)
    guard fgets(&line, Int32(line.count), answers) != nil else {
      throw BenchError("\(program) ended at: \(question)")
    }
    let bytes = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return String(decoding: bytes, as: UTF8.self).split { $0 == " " || $0 == "\n" }
      .compactMap { Double($0) }
  }
}

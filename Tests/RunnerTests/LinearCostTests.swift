// Twice the input takes twice the steps: sections, symbols, relocations and instructions that are looked at, as the
// engine counts them; and, where there is time, machine instructions, as valgrind counts them. Never seconds.
import Foundation
import Testing

@Suite struct LinearCostTests {
  enum Shape: String, CaseIterable, Sendable {
    /// Functions and variables in sections of their own, which refer to each other.
    case sections
    /// One section full of words.
    case words
    /// One function that refers to a section of named variables, and takes addresses of its neighbours.
    case code
  }

  static func object(_ shape: Shape, _ count: Int, in folder: TemporaryFolder) throws -> String {
    var source = ""
    switch shape {
    case .sections:
      for number in 0..<count {
        source += """
          .section .text.f\(number),"ax",@progbits
          .globl f\(number); .type f\(number),@function
          f\(number): mov v\(number)(%rip), %eax
          lea .data.v\(number)+4(%rip), %rcx
          call f\((number + 1) % count)
          ret
          .size f\(number), . - f\(number)
          .section .data.v\(number),"aw",@progbits
          .type v\(number),@object; .size v\(number), 8
          v\(number): .quad f\(number)

          """
      }
    case .words:
      source = """
        .data
        .globl target; target:
        .rept \(count)
        .quad target, target + 8
        .endr

        """
    case .code:
      source = ".text\n.type first,@function\nfirst: ret\n.size first, 1\n"
      source += ".type body,@function\nbody:\n"
      source += ".rept \(count)\nmov .data+8(%rip), %eax\nlea first(%rip), %rdx\n.endr\nret\n"
      source += ".size body, . - body\n.data\n"
      for number in 0..<count {
        source += ".type w\(number),@object; .size w\(number), 8\nw\(number): .quad w0\n"
      }
    }
    let name = "\(shape.rawValue)\(count)"
    let path = folder.path("\(name).o")
    try Tool.output(
      "gcc", ["-c", try folder.write(source, to: "\(name).s"), "-o", path], timeout: 300)
    return path
  }

  private struct Steps: Decodable {
    var steps: Int
    var relocations: Int
  }

  private func steps(_ file: String, _ options: [String]) throws -> Steps {
    let outcome = try Tool.hotlink(["check", "--json"] + options + [file], timeout: 300)
    guard outcome.code == 0 else {
      throw Tool.Failure(description: outcome.stderr + outcome.stdout)
    }
    return try JSONDecoder().decode(Steps.self, from: Data(outcome.output))
  }

  @Test(arguments: Shape.allCases, [[], ["--base", "0x400000", "--direct"]])
  func twiceTheInputTakesTwiceTheSteps(_ shape: Shape, _ options: [String]) throws {
    let folder = try TemporaryFolder()
    let count = 1000
    let small = try steps(try LinearCostTests.object(shape, count, in: folder), options)
    let large = try steps(try LinearCostTests.object(shape, 2 * count, in: folder), options)
    #expect(large.relocations >= 2 * count && large.relocations >= 2 * small.relocations - 4)
    #expect(small.steps >= small.relocations, "steps are not counted")
    let growth = Double(large.steps) / Double(small.steps)
    #expect(growth < 2.1, "\(small.steps) → \(large.steps)")
  }

  /// The sizes that the issue names: 20,000 sections; 1,000,000 relocations.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["HOTLINK_LONG_TESTS"] == "1"))
  func largeObjectsLink() throws {
    let folder = try TemporaryFolder()
    let sections = try steps(try LinearCostTests.object(.sections, 10_000, in: folder), [])
    #expect(sections.relocations >= 30_000)
    let words = try steps(try LinearCostTests.object(.words, 500_000, in: folder), [])
    #expect(words.relocations >= 1_000_000)
  }

  /// Every instruction of the process, in every loop, counted or not.
  @Test(
    .enabled(
      if: ProcessInfo.processInfo.environment["HOTLINK_LONG_TESTS"] == "1"
        && Tool.exists("valgrind")),
    arguments: Shape.allCases)
  func twiceTheInputTakesTwiceTheInstructions(_ shape: Shape) throws {
    let folder = try TemporaryFolder()
    // Without its debug data, which valgrind 3.19 cannot read.
    let program = folder.path("hotlink")
    try Tool.output("strip", ["--strip-debug", "-o", program, try Tool.hotlinkPath()])
    func instructions(_ count: Int) throws -> Double {
      let file = try LinearCostTests.object(shape, count, in: folder)
      let outcome = try Tool.run(
        "valgrind",
        [
          "--tool=callgrind", "--callgrind-out-file=/dev/null", program, "check",
          "--base", "0x400000", file,
        ], timeout: 900)
      guard outcome.code == 0,
        let match = outcome.stderr.firstMatch(of: /Collected : (\d+)/), let number = Double(match.1)
      else { throw Tool.Failure(description: outcome.stderr) }
      return number
    }
    let (one, two, four) = (try instructions(400), try instructions(800), try instructions(1600))
    // Without what every run costs: what the second half adds is what the first did.
    #expect((four - two) / (two - one) < 2.3, "\(one) \(two) \(four)")
  }
}

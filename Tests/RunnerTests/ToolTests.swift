// The tests' own tools: that they report how a process ended, and find the program under test.
import Foundation
import Testing

@Suite struct ToolTests {
  @Test func outcomeTellsCodeSignalAndTime() throws {
    let code = try Tool.run(
      "/bin/sh", ["-c", "cat; echo oops >&2; exit 3"], input: Array("in".utf8))
    #expect(code.end == .exited(3))
    #expect(code.stdout == "in")
    #expect(code.stderr == "oops\n")
    #expect(try Tool.run("/bin/sh", ["-c", "kill -SEGV $$"]).end == .signalled(SIGSEGV))
    #expect(try Tool.run("/bin/sh", ["-c", "sleep 20"], timeout: 0.2).end == .timedOut)
  }

  @Test func hotlinkIsFound() throws {
    let outcome = try Tool.hotlink(["--version"])
    #expect(outcome.code == 0)
    #expect(outcome.stdout == "0.1.0\n")
  }
}

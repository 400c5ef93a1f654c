// The asking end: finds the one program that is meant, asks, and says what it answered.
import ArgumentParser
import CLoaderSupport
import Foundation

/// Which running program is meant, when there are several.
struct ControlTarget: ParsableArguments {
  @Option(help: "The process id of the running `hotlink watch`.")
  var pid: Int32?

  @Option(help: "A directory or file that it watches.")
  var watching: String?

  @Flag(help: "One JSON object on standard output.")
  var json = false
}

struct ControlClient {
  let target: ControlTarget

  /// Asks, prints the answer, and ends with its exit code.
  func ask(_ verb: String, _ subject: String = "") throws -> Never {
    let socket = try connection()
    guard let answer = exchange(socket, verb, subject), let code = answer["exit"]?.integerValue
    else { try fail("the program does not answer") }
    if target.json {
      print(answer.text)
    } else {
      let text = answer["text"]?.stringValue ?? ""
      if code == 0 {
        print(text)
      } else {
        FileHandle.standardError.write(Data("hotlink: \(text)\n".utf8))
      }
    }
    throw ExitCode(Int32(truncatingIfNeeded: code))
  }

  private func exchange(_ socket: Int32, _ verb: String, _ subject: String) -> JSON? {
    let request = JSON.object([("verb", .string(verb)), ("subject", .string(subject))])
    guard ControlLine.write(request, to: socket),
      let line = ControlLine.read(socket, most: 64 << 20)
    else { return nil }
    return try? JSONReader.value(of: line)
  }

  private func connection() throws -> Int32 {
    let directory: String
    do {
      directory = try ControlPlace.directory()
    } catch { try fail(error.message) }
    if let pid = target.pid {
      let socket = hl_local_connect(ControlPlace.socket(of: pid, in: directory))
      guard socket >= 0 else { try fail("no `hotlink watch` with process id \(pid) answers") }
      return socket
    }
    var running = ControlPlace.running(in: directory)
    if let path = target.watching {
      let wanted = URL(filePath: path).standardizedFileURL.path
      // A connection is for one request: those that match are opened again.
      running = running.filter { watches($0.socket, wanted) }.compactMap { pid, _ in
        let socket = hl_local_connect(ControlPlace.socket(of: pid, in: directory))
        return socket >= 0 ? (pid, socket) : nil
      }
    }
    guard let first = running.first else {
      try fail(
        target.watching.map { "no `hotlink watch` of \($0) runs" } ?? "no `hotlink watch` runs")
    }
    guard running.count == 1 else {
      let pids = running.map { String($0.pid) }.joined(separator: ", ")
      throw ValidationError("several run: choose one with --pid (\(pids)) or --watching")
    }
    return first.socket
  }

  private func watches(_ socket: Int32, _ wanted: String) -> Bool {
    defer { close(socket) }
    let paths = exchange(socket, "status", "")?["paths"]?.strings ?? []
    return paths.contains { URL(filePath: $0).standardizedFileURL.path == wanted }
  }

  private func fail(_ message: String) throws -> Never {
    if target.json {
      print(
        JSON.object([("exit", .integer(Int64(RunnerExit.cannotReach))), ("text", .string(message))])
          .text)
    } else {
      FileHandle.standardError.write(Data("hotlink: \(message)\n".utf8))
    }
    throw ExitCode(RunnerExit.cannotReach)
  }
}

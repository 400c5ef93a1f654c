// One line of JSON each way over a socket, at most 64 KiB for a request.
import CLoaderSupport
import Foundation

enum ControlLine {
  static let longestRequest = 64 << 10

  /// Reads up to the first newline; nil at the end, after a time without bytes, or when it is too long.
  static func read(_ socket: Int32, most: Int) -> String? {
    var line: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while line.count <= most {
      let count = recv(socket, &buffer, buffer.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return nil }
      if let end = buffer[..<count].firstIndex(of: 10) {
        line += buffer[..<end]
        return String(decoding: line, as: UTF8.self)
      }
      line += buffer[..<count]
    }
    return nil
  }

  /// - Returns: false when nobody reads any more.
  @discardableResult
  static func write(_ value: JSON, to socket: Int32) -> Bool {
    let bytes = Array((value.text + "\n").utf8)
    return hl_local_send(socket, bytes, bytes.count) == 0
  }
}

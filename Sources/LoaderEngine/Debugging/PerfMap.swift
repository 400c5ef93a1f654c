// `/tmp/perf-PID.map`: what perf reads for addresses that lie in no file (linux/tools/perf/Documentation/
// jit-interface.txt). One line a function: start and size in hexadecimal, and the name.
internal import CLoaderSupport
internal import Glibc

/// The map of this process. It is only added to: perf looks addresses up when all is over.
package final class PerfMap: ProfilerFile {
  private let descriptor: Int32

  /// - Throws: `LinkError.system` when the file cannot be made.
  package init() throws(LinkError) {
    descriptor = try ProfilerOutput.create("/tmp/perf-\(getpid()).map")
  }

  deinit { close(descriptor) }

  package func describe(_ units: [DebugUnit]) -> [UInt8] {
    units.reduce(into: []) { $0 += describe($1.code) }
  }

  package func describe(_ code: [ListedCode]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(code.count * 48)
    for item in code {
      text += Array(String(item.range.start.value, radix: 16).utf8)
      text.append(0x20)
      text += Array(String(item.range.size, radix: 16).utf8)
      text.append(0x20)
      text.append(contentsOf: UnsafeRawBufferPointer(start: item.name.base, count: item.name.count))
      item.suffix.withUTF8Buffer { text.append(contentsOf: $0) }
      text.append(0x0A)
    }
    return text
  }

  package func write(_ description: [UInt8]) { ProfilerOutput.write(description, to: descriptor) }
}

/// Files for profilers.
enum ProfilerOutput {
  /// Makes a file of our own, in the place of one that an earlier process of this number left behind.
  static func create(_ path: String) throws(LinkError) -> Int32 {
    unlink(path)
    let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
    guard descriptor >= 0 else { throw LinkError(file: path, .system(SystemError("open", path))) }
    return descriptor
  }

  /// A full disk costs the profile, not the program.
  static func write(_ bytes: [UInt8], to descriptor: Int32) {
    bytes.withUnsafeBytes { buffer in
      var at = 0
      while at < buffer.count {
        let got = Glibc.write(descriptor, buffer.baseAddress.map { $0 + at }, buffer.count - at)
        if got < 0 && errno == EINTR { continue }
        guard got > 0 else { return }
        at += got
      }
    }
  }
}

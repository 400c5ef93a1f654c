// What a child process has done so far, in a file that its parent maps too: so that the parent can name the
// input that killed it, and knows that the list came to its end.
import Foundation

/// Numbers that a child counts up and its parent reads.
package struct RunProgress {
  private static let places = 1 << 16
  private let words: UnsafeMutablePointer<Int>

  package init(_ path: String) throws {
    let size = RunProgress.places * 8
    let descriptor = open(path, O_RDWR | O_CREAT, 0o600)
    guard descriptor >= 0, ftruncate(descriptor, off_t(size)) == 0,
      let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
      memory != MAP_FAILED
    else { throw CommandFailure(description: "\(path): \(errno)") }
    close(descriptor)
    words = memory.assumingMemoryBound(to: Int.self)
  }

  package func begin(_ number: Int) { words[0] = number }
  package func accept() { words[1] += 1 }
  /// A number of the suite's own.
  package func count(_ counter: Int, _ amount: Int = 1) { words[2 + counter] += amount }
  package var begun: Int { words[0] }
  package var accepted: Int { words[1] }
  package func counted(_ counter: Int) -> Int { words[2 + counter] }
}

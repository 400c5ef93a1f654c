// Memory for the contents of many files that are read together. To bring in a page for every 4 KiB of 10,000 files costs
// as much as to copy them: blocks lie on huge pages, where the kernel has some. A block is let go with the last of its
// files, so that a file which was replaced keeps its bytes until then.
internal import CLoaderSupport
internal import Synchronization

/// A piece of memory that the contents of several files share.
final class FileBlock: Sendable {
  /// Bytes.
  static let size = 2 << 20
  nonisolated(unsafe) let base: UnsafeMutableRawPointer

  init?() {
    guard let memory = hl_allocate_large(FileBlock.size) else { return nil }
    base = memory
  }

  deinit { hl_free_large(base, FileBlock.size) }
}

/// Where the files of one reading go. From any thread.
package final class FileBlocks: Sendable {
  /// Larger files have memory of their own, bytes.
  private static let largestFile = FileBlock.size / 8
  /// The block that is being filled, and how many bytes of it are somebody's.
  private let current = Mutex<(block: FileBlock?, used: Int)>((nil, 0))

  package init() {}

  /// Room for a file, and the block it lies in; nil for a file that has memory of its own.
  func take(_ count: Int) -> (UnsafeMutableRawPointer, FileBlock)? {
    guard count > 0, count <= FileBlocks.largestFile else { return nil }
    // 64-byte alignment: records inside are then aligned as the file aligns them.
    let size = (count + 63) & ~63
    return current.withLock { current in
      if current.block == nil || current.used > FileBlock.size - size {
        current = (FileBlock(), 0)
      }
      guard let block = current.block else { return nil }
      defer { current.used += size }
      return (block.base + current.used, block)
    }
  }
}

// How the pages that hold code and constants can be written by the linker and run by the program
// without ever being writable and executable in one view. Two ways; the second for systems that deny
// executing a memfd.
internal import CLoaderSupport
internal import Glibc

/// Pages behind the code and constants of an arena.
package protocol ArenaBacking: AnyObject {
  /// Added to a run-time address, gives where the linker writes it.
  var writableOffset: Int { get }
  /// Nothing is to be unmapped when this is dropped.
  var mustStay: Bool { get set }
  /// What a text allocation is rounded to, in bytes.
  var textGranularity: UInt64 { get }
  /// Brings pages in, so that linking takes no fault. `isText` pages become writable for the linker.
  func populate(_ range: AddressRange, isText: Bool) throws(LinkError)
  /// Whether text needs sealing that was never used before.
  var sealsFreshText: Bool { get }
  /// Makes written text executable, and visible where it runs.
  func seal(_ range: AddressRange) throws(LinkError)
  /// Makes text writable again before its space is reused.
  func reopen(_ range: AddressRange) throws(LinkError)
}

private func pages(_ range: AddressRange) -> (UnsafeMutableRawPointer?, Int) {
  let low = range.start.value & ~(pageSize - 1)
  let high = aligned(range.end.value, to: pageSize)
  return (UnsafeMutableRawPointer(bitPattern: UInt(low)), Int(high - low))
}

/// A memfd mapped twice: a private view to run from, a shared one to write to.
///
/// The run view is MAP_PRIVATE because ptrace cannot write a breakpoint into a shared executable
/// mapping. Writes through the alias show in it until a breakpoint has made a page private.
package final class MemfdBacking: ArenaBacking {
  package let writableOffset: Int
  private let alias: UnsafeMutableRawPointer
  private let size: Int

  /// - Parameters:
  ///   - text: becomes readable and executable.
  ///   - constants: becomes readable; directly behind `text`.
  /// - Returns: nil where the system denies it.
  package init?(text: AddressRange, constants: AddressRange) {
    precondition(text.end == constants.start)
    size = Int(text.size + constants.size)
    let descriptor = hl_memfd_create("hotlink")
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard ftruncate(descriptor, off_t(size)) == 0,
      let shared = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
      shared != MAP_FAILED
    else { return nil }
    alias = shared
    writableOffset = Int(bitPattern: shared) - Int(bitPattern: text.start.pointer)
    func run(_ range: AddressRange, _ protection: Int32, _ offset: UInt64) -> Bool {
      mmap(
        UnsafeMutableRawPointer(bitPattern: UInt(range.start.value)), Int(range.size), protection,
        MAP_PRIVATE | MAP_FIXED, descriptor, off_t(offset)) != MAP_FAILED
    }
    guard run(text, PROT_READ | PROT_EXEC, 0), run(constants, PROT_READ, text.size) else {
      munmap(shared, size)
      return nil
    }
  }

  package var mustStay = false

  deinit {
    if !mustStay { munmap(alias, size) }
  }

  /// Whole pages: a page that a breakpoint made private no longer shows what is written to it, so code
  /// that is linked later must not share one with code that runs.
  package var textGranularity: UInt64 { pageSize }
  package var sealsFreshText: Bool { false }

  /// Bytes.
  private static let mostSeenAhead = 2 << 20

  package func populate(_ range: AddressRange, isText: Bool) throws(LinkError) {
    let (start, length) = pages(range)
    guard let start else { return }
    // The alias first: it allocates the pages that the run view then maps. Kernels before 5.14 have
    // no MADV_POPULATE and fault pages in one by one instead.
    _ = hl_populate(start + writableOffset, length, 1)
    // Of a large set little runs at once: its pages are seen, sixteen at a time, when it does.
    if length <= MemfdBacking.mostSeenAhead { _ = hl_populate(start, length, 0) }
  }

  package func reopen(_ range: AddressRange) {}

  /// A page that a debugger wrote to is private and shows its own old bytes: it is dropped, so that the
  /// view shows what was written through the alias. Compared after writing: before, a removed breakpoint
  /// leaves equal bytes in a page that is private all the same.
  package func seal(_ range: AddressRange) throws(LinkError) {
    let (start, length) = pages(range)
    guard let start else { return }
    var page = 0
    while page < length {
      let view = start + page
      if memcmp(view, view + writableOffset, Int(pageSize)) != 0 {
        madvise(view, Int(pageSize), MADV_DONTNEED)
      }
      page += Int(pageSize)
    }
    _ = hl_sync_rewritten()
  }
}

/// Memory somewhere, for code that runs nowhere: `hotlink check --base`. Addresses are numbers.
package final class ImaginaryBacking: ArenaBacking {
  package let writableOffset: Int
  package var sealsFreshText: Bool { false }
  package var mustStay = false
  package var textGranularity: UInt64 { 1 }
  private let memory: UnsafeMutableRawPointer
  private let size: Int

  package init(_ range: AddressRange) throws(LinkError) {
    // Page offsets are the addresses' own, so that arithmetic on pages holds here as there.
    let inPage = Int(range.start.value & (pageSize - 1))
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    guard range.size < 1 << 46 else {
      throw LinkError(file: "", .noSpace(what: "the bytes of a link", requested: range.size))
    }
    size = Int(aligned(range.size, to: pageSize)) + Int(pageSize)
    guard let got = mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0), got != MAP_FAILED else {
      throw LinkError(file: "", .system(SystemError("mmap", "the bytes of a link")))
    }
    memory = got
    writableOffset =
      Int(bitPattern: got) &+ inPage &- Int(truncatingIfNeeded: range.start.value)
  }

  deinit { munmap(memory, size) }

  package func populate(_ range: AddressRange, isText: Bool) {}
  package func seal(_ range: AddressRange) {}
  package func reopen(_ range: AddressRange) {}
}

/// Anonymous pages: written first, then switched to executable. Text is handed out by whole pages.
package final class AnonymousBacking: ArenaBacking {
  package var writableOffset: Int { 0 }
  package var sealsFreshText: Bool { true }
  package var mustStay = false  // its pages are the window's
  package var textGranularity: UInt64 { pageSize }

  package init(text: AddressRange, constants: AddressRange) throws(LinkError) {
    for range in [text, constants] {
      try protect(range, PROT_READ | PROT_WRITE, "constants of linked code")
    }
  }

  package func populate(_ range: AddressRange, isText: Bool) {
    let (start, length) = pages(range)
    if !isText, let start { _ = hl_populate(start, length, 1) }
  }

  package func seal(_ range: AddressRange) throws(LinkError) {
    try protect(range, PROT_READ | PROT_EXEC, "linked code")
  }

  package func reopen(_ range: AddressRange) throws(LinkError) {
    try protect(range, PROT_READ | PROT_WRITE, "linked code")
    _ = hl_sync_cores()
  }

  private func protect(_ range: AddressRange, _ protection: Int32, _ what: String)
    throws(LinkError)
  {
    let (start, length) = pages(range)
    guard mprotect(start, length, protection) == 0 else {
      throw LinkError(file: "", .system(SystemError("mprotect", what)))
    }
  }
}

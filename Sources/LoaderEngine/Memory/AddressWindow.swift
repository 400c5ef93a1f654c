// One reservation of address space within ±2 GiB of every library of the process, so that 32-bit
// relative references of linked code reach libc and the rest. Linux: /proc/self/maps, mmap(2).
internal import CLoaderSupport
internal import Glibc

/// Address space set aside for linked code, unmapped when dropped unless it must stay.
package final class AddressWindow: @unchecked Sendable {
  package let range: AddressRange
  /// Something outside may refer to what is in it: handlers of `atexit`, a language runtime.
  package var mustStay = false

  /// Bytes left free between the window and the libraries: where the kernel puts libraries that are
  /// loaded later, which are then in reach too.
  private static let headroom: UInt64 = 256 << 20
  private static let reach: UInt64 = (2 << 30) - (64 << 10)

  /// - Parameter size: bytes, a multiple of the page size.
  /// - Throws: `LinkError.system` when no such space is free.
  package init(size: UInt64) throws(LinkError) {
    let mappings = AddressWindow.mappings()
    let libraries = mappings.filter { $0.isLibrary }
    let lowest = libraries.map(\.range.start).min() ?? Address(0x7000_0000_0000)
    let highest = libraries.map(\.range.end).max() ?? Address(0x7000_0000_0000)
    // Gaps below the libraries, highest first; the first with room and in reach wins.
    var top = lowest
    for mapping in mappings.reversed() where mapping.range.end <= lowest {
      let bottom = mapping.range.end
      for spare in [AddressWindow.headroom, 0] {
        guard top.value > spare else { continue }
        let end = (top.value - spare) & ~0xFFF
        guard end > bottom.value, end - bottom.value >= size else { continue }
        let start = end - size
        guard highest.value > start, highest.value - start <= AddressWindow.reach else { continue }
        if let reserved = AddressWindow.reserve(start, size) {
          range = reserved
          return
        }
      }
      top = mapping.range.start
    }
    // Nothing near: anywhere. References to the host then go through the GOT or are refused by name.
    guard let anywhere = AddressWindow.reserve(nil, size) else {
      throw LinkError(file: "", .system(SystemError("mmap", "the address window of the arena")))
    }
    range = anywhere
  }

  /// Addresses that are only counted with: nothing is mapped there.
  package init(imaginary range: AddressRange) {
    self.range = range
    mustStay = true
  }

  /// A window below 2 GiB, where addresses fit 32 bits with and without a sign. Little of the process is in reach
  /// from there.
  ///
  /// - Throws: `LinkError.system` when no such space is free.
  package init(low size: UInt64) throws(LinkError) {
    for start in stride(from: UInt64(0x1000_0000), to: (2 << 30) - size, by: 0x0800_0000) {
      if let reserved = AddressWindow.reserve(start, size) {
        range = reserved
        return
      }
    }
    throw LinkError(
      file: "", .system(SystemError("mmap", "an address window below 2 GiB")))
  }

  deinit {
    if mustStay { return }
    munmap(UnsafeMutableRawPointer(bitPattern: UInt(range.start.value)), Int(range.size))
  }

  /// Whether a signed 32-bit displacement leads from anywhere in the window to `address`.
  package func reaches(_ address: Address) -> Bool {
    let low = Int64(bitPattern: address.value &- range.end.value)
    let high = Int64(bitPattern: address.value &- range.start.value)
    return low >= Int64(Int32.min) && high <= Int64(Int32.max)
  }

  private static func reserve(_ start: UInt64?, _ size: UInt64) -> AddressRange? {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    let got: UnsafeMutableRawPointer?
    if let start {
      got = hl_map_fixed_noreplace(
        UnsafeMutableRawPointer(bitPattern: UInt(start)), Int(size), PROT_NONE, flags, -1, 0)
    } else {
      got = mmap(nil, Int(size), PROT_NONE, flags, -1, 0)
    }
    guard let got, got != MAP_FAILED else { return nil }
    return AddressRange(start: Address(UnsafeRawPointer(got)), size: size)
  }

  private struct Mapping {
    var range: AddressRange
    var isLibrary: Bool
  }

  /// The process's mappings in address order.
  private static func mappings() -> [Mapping] {
    guard let file = fopen("/proc/self/maps", "re") else { return [] }
    defer { fclose(file) }
    var result: [Mapping] = []
    let length = 4608
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: length) { line in
      guard let text = line.baseAddress else { return [] }
      while fgets(text, Int32(length), file) != nil {
        // Linux: proc_pid_maps(5). Addresses, permissions, offset, device, inode, path.
        var rest: UnsafeMutablePointer<CChar>?
        let low = strtoul(text, &rest, 16)
        guard let dash = rest, dash.pointee == 0x2D else { continue }
        let high = strtoul(dash + 1, &rest, 16)
        guard high > low else { continue }
        let path = strchr(dash, 0x2F)
        result.append(
          Mapping(
            range: AddressRange(start: Address(UInt64(low)), size: UInt64(high - low)),
            isLibrary: path.map { strstr($0, ".so") != nil } ?? false))
      }
      return result
    }
  }
}

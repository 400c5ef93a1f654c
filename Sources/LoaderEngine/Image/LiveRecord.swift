// An image in the list that dl_iterate_phdr and the unwinder walk, as long as it is loaded.
// Linux: dl_iterate_phdr(3).
internal import CLoaderSupport
internal import Glibc

/// An image's entry in that list; taken out when dropped.
final class LiveRecord: @unchecked Sendable {
  private let record: UnsafeMutablePointer<hl_live_image>
  /// The image's name for C, alive as long as this.
  let name: UnsafePointer<CChar>

  /// nil when there is no memory for it.
  init?(_ image: MappedImage) {
    guard let name = strdup(image.name) else { return nil }
    self.name = UnsafePointer(name)
    record = .allocate(capacity: 1)
    record.initialize(to: hl_live_image())
    record.pointee.low = UInt(image.mapping.range.start.value)
    record.pointee.high = UInt(image.mapping.range.end.value)
    record.pointee.bias = image.provider.bias
    record.pointee.name = self.name
    if let headers = image.headers.programHeaders,
      let start = image.provider.view.pointer(
        headers, UInt64(image.headers.programHeaderCount * MemoryLayout<Elf64_Phdr>.size))
    {
      record.pointee.headers = start.assumingMemoryBound(to: Elf64_Phdr.self)
      record.pointee.header_count = UInt16(truncatingIfNeeded: image.headers.programHeaderCount)
    }
    switch image.provider.threadStorage {
    case .module(let id): record.pointee.tls_module = id
    case .fixed, .host, .none: break
    }
    if let header = image.headers.unwindHeader {
      record.pointee.unwind_header = image.address(header.lowerBound).pointer
    }
    hl_live_image_add(record)
  }

  deinit {
    hl_live_image_remove(record)
    record.deallocate()
    free(UnsafeMutablePointer(mutating: name))
  }
}

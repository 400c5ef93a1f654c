// An image in the list that dl_iterate_phdr and the unwinder walk, as long as it is loaded.
// Linux: dl_iterate_phdr(3).
internal import CLoaderSupport
internal import Glibc

/// An image's entry in that list; taken out when dropped.
final class LiveRecord: @unchecked Sendable {
  private let record: UnsafeMutablePointer<hl_live_image>
  private let name: UnsafeMutablePointer<CChar>
  /// What code in our images gets for it from dlopen(3).
  var handle: UnsafeMutableRawPointer { UnsafeMutableRawPointer(record) }

  /// nil when there is no memory for it.
  init?(_ image: MappedImage) {
    guard let name = strdup(image.name) else { return nil }
    self.name = name
    record = .allocate(capacity: 1)
    record.initialize(to: hl_live_image())
    record.pointee.low = UInt(image.mapping.range.start.value)
    record.pointee.high = UInt(image.mapping.range.end.value)
    record.pointee.bias = image.provider.bias
    record.pointee.name = UnsafePointer(name)
    record.pointee.owner = Unmanaged.passUnretained(image).toOpaque()
    if let dynamic = image.headers.dynamic {
      record.pointee.dynamic = image.address(dynamic.lowerBound).pointer
    }
    if let headers = image.headers.programHeaders,
      let start = image.provider.view.pointer(
        headers, UInt64(image.headers.programHeaderCount * MemoryLayout<Elf64_Phdr>.size))
    {
      record.pointee.headers = start.assumingMemoryBound(to: Elf64_Phdr.self)
      record.pointee.header_count = UInt16(clamping: image.headers.programHeaderCount)
    }
    switch image.provider.threadStorage {
    case .module(let id): record.pointee.tls_module = id
    case .fixed(_, _, let offset):
      record.pointee.tls_thread_offset = Int64(bitPattern: offset)
    case .host, .none: break
    }
    if let header = image.headers.unwindHeader {
      record.pointee.unwind_header = image.address(header.lowerBound).pointer
    }
    guard hl_live_image_add(record) == 0 else {
      record.deallocate()
      free(name)
      return nil
    }
  }

  deinit {
    hl_live_image_remove(record)
    record.deallocate()
    free(name)
  }
}

// An image's unwind table becomes known to the unwinder: exceptions pass through its frames, backtrace() sees
// them. The table is found by `.eh_frame_hdr` and proven before it is handed over, because libgcc believes
// every byte of it. LSB 5.0, “Exception Frames”.
internal import CLoaderSupport

extension MappedImage {
  /// Registers the unwind table, after relocation. An image without one can be run, not thrown through.
  ///
  /// - Throws: `LinkError.malformed` for a table that would lead the unwinder astray.
  func registerUnwindTable() throws(LinkError) {
    guard let header = headers.unwindHeader, let start = unwindTable(header) else { return }
    guard let tail = provider.view.tail(start) else {
      throw refuse(start, "lies outside the loaded segments")
    }
    var table = UnwindTable(
      UnsafeRawBufferPointer(start: tail.pointer, count: Int(tail.count)), at: address(start),
      text: mapping.range)
    do throws(UnwindTable.Defect) {
      try table.validate()
    } catch {
      throw refuse(start &+ UInt64(error.offset), error.detail)
    }
    unwindRegistration = UnwindRegistration(address(start))
  }

  private func refuse(_ at: UInt64, _ detail: String) -> LinkError {
    LinkError(file: name, .malformed(structure: ".eh_frame", offset: at, detail: detail))
  }

  /// Virtual address of `.eh_frame`, as its header has it; nil when the header does not tell.
  private func unwindTable(_ header: Range<UInt64>) -> UInt64? {
    guard header.count >= 8, let bytes = provider.view.pointer(header.lowerBound, 8),
      bytes.load(as: UInt8.self) == 1
    else { return nil }
    let encoding = bytes.load(fromByteOffset: 1, as: UInt8.self)
    guard encoding == 0x1B else { return nil }  // pcrel, sdata4: all linkers
    let distance = bytes.loadUnaligned(fromByteOffset: 4, as: Int32.self)
    return header.lowerBound &+ 4 &+ UInt64(bitPattern: Int64(distance))
  }
}

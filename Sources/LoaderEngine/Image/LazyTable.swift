// Functions that are bound when they are first called. The PLT of an image pushes an index and jumps through
// GOT[2]; what stands there saves every register and asks us. Linking an image that is bound already takes no
// lock and allocates nothing on that path. psABI AMD64, “Procedure Linkage Table”.
internal import CLoaderSupport
internal import Glibc

/// The lazily bound jump slots of one image.
final class LazyTable: @unchecked Sendable {
  // The image owns this; its code is the only one that comes here.
  private unowned let image: MappedImage
  private let table: UnsafeRawBufferPointer

  private static let prepare: Void = {
    hl_lazy_prepare()
    hl_set_plt_resolver { image, index in
      guard let image else { return 0 }
      return Unmanaged<LazyTable>.fromOpaque(image).takeUnretainedValue().resolve(index)
    }
  }()

  /// Makes the image's PLT lead here.
  init(_ image: MappedImage, _ writer: inout ImageWriter) throws(LinkError) {
    LazyTable.prepare
    self.image = image
    let slots = image.provider.entries.jumpSlots
    let start = image.provider.view.pointer(slots.address, slots.size)
    table = UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(slots.size))
    let got = image.provider.entries.pltGOT
    let own = UInt64(UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque()))
    guard writer.write(own, at: got &+ 8),
      writer.write(Address(hl_plt_entry_address()).value, at: got &+ 16)
    else {
      throw LinkError(
        file: image.name,
        .malformed(
          structure: "DT_PLTGOT", offset: got, detail: "its words are in no writable segment"))
    }
  }

  /// Whether a slot can still be written when the image is sealed.
  static func staysWritable(_ place: UInt64, in image: MappedImage) -> Bool {
    staysWritable(place, from: image.headers.base, image.headers.readOnlyAfterRelocation)
  }

  /// - Parameters:
  ///   - base: virtual address of the image's first page.
  ///   - sealed: what becomes read-only, from there.
  @inline(__always)
  static func staysWritable(_ place: UInt64, from base: UInt64, _ sealed: Range<UInt64>) -> Bool {
    let offset = place &- base
    return offset &+ 8 <= sealed.lowerBound || offset >= sealed.upperBound
  }

  private func resolve(_ index: UInt64) -> UInt64 {
    guard index < UInt64(table.count / 24) else { return hopeless(nil, "jump slot \(index)") }
    let entry = table.loadUnaligned(fromByteOffset: Int(index) * 24, as: Elf64_Rela.self)
    guard entry.type == X86_64.Dynamic.jumpSlot,
      image.provider.view.part(of: entry.r_offset)?.access.contains(.write) == true,
      image.provider.view.part(of: entry.r_offset &+ 7)?.access.contains(.write) == true,
      LazyTable.staysWritable(entry.r_offset, in: image),
      let place = UnsafeMutableRawPointer(
        bitPattern: UInt(image.address(entry.r_offset).value))
    else { return hopeless(nil, "jump slot \(index)") }
    let found = try? image.bind(UInt32(entry.symbol), isForCall: true, isLazy: true)
    guard let found, found.address != 0, !found.isUnresolvedIndirect else {
      return hopeless(entry, image.symbolName(entry))
    }
    if found.address == ThreadExitLedger.register.value { try? image.noteThreadExits() }
    let target = found.address &+ UInt64(bitPattern: entry.r_addend)
    // One aligned store: whoever comes at the same time writes the same word.
    place.storeBytes(of: target, as: UInt64.self)
    return target
  }

  /// Nobody defines it: the host's handler may supply an address for this call.
  private func hopeless(_ entry: Elf64_Rela?, _ symbol: String) -> UInt64 {
    let version = entry.flatMap { image.provider.lookup.version(of: UInt32($0.symbol)) }
    let event = BindingEvent(
      image: image.name, symbol: symbol, version: version?.text ?? "", provider: "",
      address: Address(0), isLazy: true)
    if let answer = image.options.observer?.unresolvedCall?(event) { return answer.value }
    hl_warn("call of undefined function", symbol)
    return Address(hl_null_function()).value
  }
}

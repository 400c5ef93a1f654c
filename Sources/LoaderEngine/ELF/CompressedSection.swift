// Sections that compilers compress: debug data with SHF_COMPRESSED (gABI, “Section Compression”: zlib and
// zstd), and the older `.zdebug_` sections of GNU as. Claimed sizes are held against what the format can
// reach before any memory is taken.
internal import CLoaderSupport
internal import Glibc

extension ObjectFile {
  /// The bytes of a section as its relocations see them: unpacked where they are compressed.
  ///
  /// - Returns: nil for SHT_NOBITS.
  /// - Throws: `LinkError.malformed`, or `.unsupported` for a format that cannot be unpacked here.
  package func unpackedContents(ofSection index: Int) throws(LinkError) -> Bytes? {
    guard let bytes = contents(ofSection: index) else { return nil }
    let section = sections[index]
    return try CompressedSection(
      file: name, name: self.name(ofSection: index), offset: section.offset, flags: section.flags
    ).unpacked(bytes)
  }
}

extension ImageSections {
  /// The same of an image, of which `bytes` are the file.
  ///
  /// - Returns: nil for SHT_NOBITS.
  /// - Throws: as for objects; also for a section that leaves the file.
  package func unpackedContents(ofSection index: Int, in bytes: Bytes, file: String)
    throws(LinkError) -> Bytes?
  {
    let section = sections[index]
    guard !section.isNoBits else { return nil }
    let packed = CompressedSection(
      file: file, name: name(ofSection: index), offset: section.offset, flags: section.flags)
    guard let contents = bytes.slice(section.offset, section.size) else {
      throw packed.damaged("leaves the file")
    }
    return try packed.unpacked(contents)
  }
}

/// A section that may be packed.
private struct CompressedSection {
  let file: String
  let name: NameView
  /// In the file.
  let offset: UInt64
  let flags: UInt64

  func unpacked(_ bytes: Bytes) throws(LinkError) -> Bytes {
    if flags & UInt64(SHF_COMPRESSED) != 0 {
      guard let header = bytes.load(Elf64_Chdr.self, at: 0),
        let packed = bytes.slice(24, UInt64(bytes.count - 24))
      else { throw damaged("the compression header is cut off") }
      switch header.ch_type {
      case 1: return try unpack(packed, header.ch_size, .zlib)
      case 2: return try unpack(packed, header.ch_size, .zstd)
      default:
        throw LinkError(
          file: file,
          .unsupported(
            what: "compression type \(header.ch_type) of '\(name.string)'",
            help: "compile with -gz=zlib or -gz=none"))
      }
    }
    if name.hasPrefix(".zdebug_") {
      // `ZLIB`, and the size as a big-endian number.
      guard bytes.load(UInt32.self, at: 0) == 0x4249_4C5A,
        let size = bytes.load(UInt64.self, at: 4),
        let packed = bytes.slice(12, UInt64(bytes.count - 12))
      else { return bytes }
      return try unpack(packed, UInt64(bigEndian: size), .zlib)
    }
    return bytes
  }

  private enum Packing {
    case zlib, zstd
    /// The most that one packed byte can become.
    var mostRatio: UInt64 { self == .zlib ? 1032 : 40_000 }
    var library: String { self == .zlib ? "libz.so.1" : "libzstd.so.1" }
  }

  private func unpack(_ packed: Bytes, _ size: UInt64, _ packing: Packing)
    throws(LinkError) -> Bytes
  {
    guard size <= 1 << 32, size <= (UInt64(packed.count) + 16) * packing.mostRatio else {
      throw damaged("\(packed.count) bytes cannot become \(size)")
    }
    var status: Int32 = 0
    let contents = try FileContents(filling: Int(size)) { (place) throws(LinkError) in
      status =
        packing == .zlib
        ? hl_inflate(place, Int(size), packed.base, packed.count)
        : hl_zstd_decompress(place, Int(size), packed.base, packed.count)
    }
    if status == ENOENT {
      throw LinkError(
        file: file,
        .unsupported(
          what: "compressed section '\(name.string)'",
          help: "install \(packing.library), or compile with -gz=none"))
    }
    guard status == 0 else { throw damaged("does not unpack to \(size) bytes") }
    return Bytes(contents)
  }

  func damaged(_ detail: String) -> LinkError {
    LinkError(
      file: file,
      .malformed(
        structure: "compressed section '\(name.string)'", offset: offset, detail: detail))
  }
}

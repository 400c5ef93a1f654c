// Symbol versions of one image: the names behind the numbers of its `.gnu.version` section, both those it
// defines and those it needs, in one table as ld.so has it. LSB 5.0, “Symbol Versioning”.
internal import CLoaderSupport
internal import Glibc

/// A version that an image defines or needs.
package struct SymbolVersion: BitwiseCopyable {
  package var name: UnsafeRawPointer
  package var count: UInt32
  /// Its SysV hash; 0: no version has this number.
  package var hash: UInt32
  /// Needed, and only the very version will do.
  package var isExact: Bool
  /// Defined by the image itself.
  package var isDefined: Bool

  @inline(__always)
  package func isSame(as other: SymbolVersion) -> Bool {
    hash == other.hash && count == other.count && memcmp(name, other.name, Int(count)) == 0
  }

  package var text: String { NameView(base: name, count: Int(count)).string }
}

/// What an image needs of another: the file's name and a version.
package struct VersionNeed {
  package var file: NameView
  package var version: SymbolVersion
  package var isWeak: Bool
}

/// The versions of an image by their numbers.
package final class VersionTable: @unchecked Sendable {
  // Sound: written in init only.
  package let records: UnsafeMutablePointer<SymbolVersion>
  package let count: Int
  package private(set) var needs: [VersionNeed] = []
  /// Whether the image defines versions at all.
  package private(set) var defines = false

  deinit { records.deallocate() }

  /// Reads version definitions and needs.
  ///
  /// - Returns: nil when the image has none.
  /// - Throws: `LinkError.malformed`.
  package init?(
    _ entries: DynamicEntries, _ view: SegmentView, strings: StringArea,
    name: @autoclosure () -> String
  ) throws(LinkError) {
    guard entries.versionDefinitions.address != 0 || entries.versionNeeds.address != 0 else {
      return nil
    }
    func refuse(_ what: String, _ at: UInt64) -> LinkError {
      LinkError(
        file: name(),
        .malformed(structure: what, offset: at, detail: "leaves its segment or its strings"))
    }
    var found: [(index: Int, version: SymbolVersion)] = []
    func note(
      _ index: UInt16, _ hash: UInt32, _ text: NameView, exact: Bool, defined: Bool
    ) -> SymbolVersion {
      let version = SymbolVersion(
        name: text.base, count: UInt32(text.count), hash: hash, isExact: exact,
        isDefined: defined)
      found.append((Int(index & 0x7FFF), version))
      return version
    }
    // Each record names the distance to the next; their number is claimed too, and bounds the walk.
    // A number has 15 bits: more records than that are no versions.
    var needs: [VersionNeed] = []
    var at = entries.versionNeeds.address
    var left = entries.versionNeeds.count
    while left > 0, at != 0 {
      guard let raw = view.pointer(at, 16)?.loadUnaligned(as: Elf64_Verneed.self),
        raw.vn_version == 1, let file = strings.name(at: raw.vn_file)
      else { throw refuse(".gnu.version_r", at) }
      var entry = at &+ UInt64(raw.vn_aux)
      for _ in 0..<raw.vn_cnt {
        guard let need = view.pointer(entry, 16)?.loadUnaligned(as: Elf64_Vernaux.self),
          let text = strings.name(at: need.vna_name), found.count < 0x10000
        else { throw refuse(".gnu.version_r", entry) }
        let version = note(
          need.vna_other, need.vna_hash, text, exact: need.vna_other & 0x8000 != 0,
          defined: false)
        needs.append(
          VersionNeed(
            file: file, version: version, isWeak: need.vna_flags & UInt16(VER_FLG_WEAK) != 0))
        if need.vna_next == 0 { break }
        entry = entry &+ UInt64(need.vna_next)
      }
      if raw.vn_next == 0 { break }
      at = at &+ UInt64(raw.vn_next)
      left -= 1
    }
    at = entries.versionDefinitions.address
    left = entries.versionDefinitions.count
    while left > 0, at != 0 {
      guard let raw = view.pointer(at, 20)?.loadUnaligned(as: Elf64_Verdef.self),
        raw.vd_version == 1
      else { throw refuse(".gnu.version_d", at) }
      // The base definition names the file itself: no symbol asks for it.
      if raw.vd_flags & UInt16(VER_FLG_BASE) == 0, raw.vd_cnt > 0 {
        guard
          let first = view.pointer(at &+ UInt64(raw.vd_aux), 8)?
            .loadUnaligned(as: Elf64_Verdaux.self), let text = strings.name(at: first.vda_name),
          found.count < 0x10000
        else { throw refuse(".gnu.version_d", at) }
        _ = note(raw.vd_ndx, raw.vd_hash, text, exact: false, defined: true)
      }
      if raw.vd_next == 0 { break }
      at = at &+ UInt64(raw.vd_next)
      left -= 1
    }
    defines = entries.versionDefinitions.address != 0 && entries.versionDefinitions.count > 0
    count = (found.map(\.index).max() ?? 0) + 1
    records = .allocate(capacity: count)
    records.initialize(
      repeating: SymbolVersion(
        name: UnsafeRawPointer(records), count: 0, hash: 0, isExact: false, isDefined: false),
      count: count)
    for (index, version) in found { records[index] = version }
    self.needs = needs
  }

  /// Whether a version of this name is defined here.
  package func defines(_ wanted: SymbolVersion) -> Bool {
    for index in 0..<count where records[index].isDefined && records[index].isSame(as: wanted) {
      return true
    }
    return false
  }
}

/// The dynamic string table: a size, and no promise how it ends.
package struct StringArea: @unchecked Sendable, BitwiseCopyable {
  package let base: UnsafeRawPointer
  package let count: UInt64

  package init(base: UnsafeRawPointer, count: UInt64) {
    self.base = base
    self.count = count
  }

  /// The string at `offset`; nil when it does not end inside.
  package func name(at offset: UInt32) -> NameView? {
    guard UInt64(offset) < count else { return nil }
    let start = base + Int(offset)
    let room = Int(count) - Int(offset)
    let length = strnlen(start.assumingMemoryBound(to: CChar.self), room)
    return length < room ? NameView(base: start, count: length) : nil
  }
}

// Every distinct symbol name of a link space once, numbered. After this, symbols are compared and
// looked up by number; a name is hashed once per object that mentions it and compared at most once.
internal import CLoaderSupport
internal import Glibc
internal import Synchronization

/// The number of a name in a `SymbolNames`.
package struct SymbolID: Hashable, Sendable, BitwiseCopyable, Comparable {
  package var index: UInt32
  @inline(__always) package init(_ index: UInt32) { self.index = index }
  package static let none = SymbolID(.max)
  package static func < (left: SymbolID, right: SymbolID) -> Bool { left.index < right.index }
}

/// A name that has been measured and hashed, to be numbered by another thread.
struct HashedName: BitwiseCopyable {
  private var base: UnsafeRawPointer?
  private var countAndMark: UInt32 = 0
  fileprivate var hash: UInt32 = 0

  init() {}

  init(_ name: NameView) {
    base = name.base
    countAndMark = UInt32(truncatingIfNeeded: name.count) & 0x7FFF_FFFF
    hash = SymbolNames.hash(name)
    if name.versionMark != nil { countAndMark |= 0x8000_0000 }
  }

  /// Whether a version follows the name, behind an `@`.
  var isVersioned: Bool { countAndMark & 0x8000_0000 != 0 }

  fileprivate var view: NameView {
    base.map { NameView(base: $0, count: Int(countAndMark & 0x7FFF_FFFF)) } ?? NameView("")
  }
}

/// An open-addressed table of names. Not thread-safe: its owner serialises.
package final class SymbolNames: @unchecked Sendable {
  private struct Slot: BitwiseCopyable {
    var hash: UInt32
    var id: UInt32  // .max: empty
  }
  private struct Entry: BitwiseCopyable {
    var text: UnsafeRawPointer
    var count: UInt32
    var hash: UInt32
  }

  /// What `find` reads: published as a whole.
  private struct Layout {
    var slots: UnsafeMutablePointer<Slot>
    var mask: Int
    var entries: UnsafeMutablePointer<Entry>
  }
  private let current = Atomic<UInt>(0)
  private var layouts: [UnsafeMutablePointer<Layout>] = []

  // Asked for every symbol of a link: nothing here calls back.
  @exclusivity(unchecked) private var slots: UnsafeMutablePointer<Slot>
  @exclusivity(unchecked) private var mask: Int
  @exclusivity(unchecked) private var entries: UnsafeMutablePointer<Entry>
  @exclusivity(unchecked) private var capacity: Int
  @exclusivity(unchecked) package private(set) var count = 0
  // Names are copied into blocks of our own: objects come and go, names stay.
  private var blocks: [UnsafeMutableRawPointer] = []
  // Where the next name goes, and the bytes that are left there.
  @exclusivity(unchecked) private var free: UnsafeMutableRawPointer?
  @exclusivity(unchecked) private var left = 0

  package init() {
    let initial = 4096
    slots = .allocate(capacity: initial)
    slots.initialize(repeating: Slot(hash: 0, id: .max), count: initial)
    mask = initial - 1
    capacity = initial / 2
    entries = .allocate(capacity: capacity)
    publish()
  }

  deinit {
    // Each layout has tables of its own: twice the last one's size in all.
    for layout in layouts {
      layout.pointee.slots.deallocate()
      layout.pointee.entries.deallocate()
      layout.deallocate()
    }
    for block in blocks { block.deallocate() }
  }

  /// The number of `name`, new if it was never seen.
  package func intern(_ name: NameView) -> SymbolID { intern(name, SymbolNames.hash(name)) }

  /// The same with the name's hash.
  func intern(_ name: NameView, _ hash: UInt32) -> SymbolID {
    var probe = Int(hash) & mask
    while true {
      let slot = slots[probe]
      if slot.id == .max { break }
      if slot.hash == hash {
        let entry = entries[Int(slot.id)]
        if Int(entry.count) == name.count && memcmp(entry.text, name.base, name.count) == 0 {
          return SymbolID(slot.id)
        }
      }
      probe = (probe + 1) & mask
    }
    if count == capacity {
      grow()
      probe = Int(hash) & mask
      while slots[probe].id != .max { probe = (probe + 1) & mask }
    }
    let id = UInt32(count)
    entries[count] = Entry(text: store(name), count: UInt32(name.count), hash: hash)
    slots[probe] = Slot(hash: hash, id: id)
    count += 1
    return SymbolID(id)
  }

  /// Has the processor fetch what `intern` of this name is going to read first.
  @inline(__always)
  func prefetch(_ name: HashedName) { hl_prefetch(slots + Int(name.hash) & mask) }

  /// Has room for so many more names.
  func reserve(_ more: Int) {
    while capacity < count + more { grow() }
  }

  func intern(_ name: HashedName) -> SymbolID { intern(name.view, name.hash) }

  package func intern(_ name: String) -> SymbolID {
    var copy = name
    return copy.withUTF8 { buffer in
      guard let base = buffer.baseAddress else { return intern(NameView("")) }
      return intern(NameView(base: base, count: buffer.count))
    }
  }

  /// The number of `name` if it was seen; adds nothing.
  ///
  /// From any thread, while another interns: a table that has grown is left as it was, and a slot is
  /// written, in one store, after the entry it leads to.
  package func find(_ name: String) -> SymbolID? {
    var copy = name
    return copy.withUTF8 { buffer in
      guard let base = buffer.baseAddress,
        let view = UnsafePointer<Layout>(bitPattern: current.load(ordering: .acquiring))?.pointee
      else { return nil }
      let wanted = NameView(base: base, count: buffer.count)
      let hash = SymbolNames.hash(wanted)
      var probe = Int(hash) & view.mask
      while view.slots[probe].id != .max {
        let slot = view.slots[probe]
        if slot.hash == hash {
          let entry = view.entries[Int(slot.id)]
          if NameView(base: entry.text, count: Int(entry.count)) == wanted {
            return SymbolID(slot.id)
          }
        }
        probe = (probe + 1) & view.mask
      }
      return nil
    }
  }

  /// The name of a number. It stays valid as long as this table.
  package subscript(id: SymbolID) -> NameView {
    precondition(Int(id.index) < count, "not a number of this table")
    let entry = entries[Int(id.index)]
    return NameView(base: entry.text, count: Int(entry.count))
  }

  private func store(_ name: NameView) -> UnsafeRawPointer {
    let needed = name.count + 1
    let place: UnsafeMutableRawPointer
    if let free, needed <= left {
      place = free
    } else {
      left = max(1 << 18, needed)
      place = .allocate(byteCount: left, alignment: 16)
      blocks.append(place)
    }
    place.copyMemory(from: name.base, byteCount: name.count)
    place.storeBytes(of: 0, toByteOffset: name.count, as: UInt8.self)
    free = place + needed
    left -= needed
    return UnsafeRawPointer(place)
  }

  private func grow() {
    let oldEntries = entries
    entries = .allocate(capacity: capacity * 2)
    entries.initialize(from: oldEntries, count: count)
    capacity *= 2
    let size = capacity * 2
    slots = .allocate(capacity: size)
    slots.initialize(repeating: Slot(hash: 0, id: .max), count: size)
    mask = size - 1
    for index in 0..<count {
      var probe = Int(entries[index].hash) & mask
      while slots[probe].id != .max { probe = (probe + 1) & mask }
      slots[probe] = Slot(hash: entries[index].hash, id: UInt32(index))
    }
    publish()
  }

  private func publish() {
    let layout = UnsafeMutablePointer<Layout>.allocate(capacity: 1)
    layout.initialize(to: Layout(slots: slots, mask: mask, entries: entries))
    layouts.append(layout)
    current.store(UInt(bitPattern: layout), ordering: .releasing)
  }

  /// Eight bytes a step; mangled names are long.
  static func hash(_ name: NameView) -> UInt32 {
    var state = 0x9E37_79B9_7F4A_7C15 ^ UInt64(name.count)
    var at = name.base
    var left = name.count
    while left >= 8 {
      state = mix(state, at.loadUnaligned(as: UInt64.self))
      at += 8
      left -= 8
    }
    var tail: UInt64 = 0
    for index in 0..<left {
      tail |= UInt64(at.load(fromByteOffset: index, as: UInt8.self)) << UInt64(index * 8)
    }
    state = mix(state, tail)
    return UInt32(truncatingIfNeeded: state ^ (state >> 32))
  }

  @inline(__always)
  private static func mix(_ state: UInt64, _ word: UInt64) -> UInt64 {
    let product = (state ^ word).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
    return product.high ^ product.low
  }
}

// Values in a row, of a number that is known when the row is made. What a link knows of sections and symbols is read
// once or twice for each relocation: a Swift array in a class pays for every reading with a check that nobody writes
// meanwhile (J4.set: a sixth of all instructions).

internal import CLoaderSupport

/// A row of values that whoever made it frees.
package struct Column<Element: BitwiseCopyable>: @unchecked Sendable, RandomAccessCollection {
  private let base: UnsafeMutablePointer<Element>
  package let count: Int

  package init(repeating value: Element, count: Int) {
    if Column.isLarge(count) {
      guard let memory = hl_allocate_large(count * MemoryLayout<Element>.stride) else {
        preconditionFailure("out of memory for \(count) values")
      }
      base = memory.bindMemory(to: Element.self, capacity: count)
    } else {
      base = .allocate(capacity: Swift.max(count, 1))
    }
    base.initialize(repeating: value, count: count)
    self.count = count
  }

  private init(_ base: UnsafeMutablePointer<Element>, _ count: Int) {
    self.base = base
    self.count = count
  }

  package func deallocate() {
    if Column.isLarge(count) {
      hl_free_large(base, count * MemoryLayout<Element>.stride)
    } else {
      base.deallocate()
    }
  }

  /// Whether it has huge pages: to bring it in by small ones would take longer than to fill it.
  private static func isLarge(_ count: Int) -> Bool {
    count >= (2 << 20) / MemoryLayout<Element>.stride
  }

  /// A part of it, not to be freed.
  func part(_ start: Int, _ count: Int) -> Column {
    precondition(start >= 0 && count >= 0 && start + count <= self.count)
    return Column(base + start, count)
  }

  /// A copy, for other modules: going through a column costs them a call for each value.
  package var array: [Element] { [Element](UnsafeBufferPointer(start: base, count: count)) }

  package var startIndex: Int { 0 }
  package var endIndex: Int { count }

  @inline(__always)
  package subscript(index: Int) -> Element {
    get {
      precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "index outside a column")
      return base[index]
    }
    nonmutating set {
      precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "index outside a column")
      base[index] = newValue
    }
  }

  /// The same for an index that was proven just before.
  @inline(__always)
  func proven(_ index: Int) -> Element { base[index] }

  /// Where a value lies.
  @inline(__always)
  func place(_ index: Int) -> UnsafeMutablePointer<Element> {
    precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "index outside a column")
    return base + index
  }
}

/// The sections of an object that lie in pieces: few, and asked for often.
package struct PieceTables: @unchecked Sendable {
  // For each section 0, or one more than the place of its table.
  private let numbers: Column<UInt32>
  private let tables: UnsafeMutablePointer<[PieceTable]>

  init(sections: Int) {
    numbers = Column(repeating: 0, count: sections)
    tables = .allocate(capacity: 1)
    tables.initialize(to: [])
  }

  func deallocate() {
    numbers.deallocate()
    tables.deinitialize(count: 1)
    tables.deallocate()
  }

  @inline(__always)
  package func isWhole(_ section: Int) -> Bool { numbers[section] == 0 }

  package subscript(section: Int) -> PieceTable? {
    get {
      guard numbers.indices.contains(section), numbers[section] != 0 else { return nil }
      return tables.pointee[Int(numbers[section]) - 1]
    }
    nonmutating set {
      guard let newValue else {
        numbers[section] = 0
        return
      }
      if numbers[section] != 0 {
        tables.pointee[Int(numbers[section]) - 1] = newValue
      } else {
        tables.pointee.append(newValue)
        numbers[section] = UInt32(tables.pointee.count)
      }
    }
  }
}

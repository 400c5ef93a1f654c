// The symbols of one generation, by number. A table never changes once it is published; the next one
// shares with it whatever did not change, so its cost follows the change and not the program.

/// An immutable map from symbol numbers to definitions.
package final class SymbolTable: @unchecked Sendable {
  // Sound: nothing of it is written once it is made.
  fileprivate static let shift = 8
  fileprivate static let chunkSize = 1 << shift

  fileprivate let chunks: [Chunk]
  /// Where the definitions of each chunk are.
  fileprivate let rows: [UnsafeMutablePointer<Definition>]
  /// How many symbols are defined.
  package let count: Int

  package static let empty = SymbolTable(chunks: [], rows: [], count: 0)

  fileprivate init(chunks: [Chunk], rows: [UnsafeMutablePointer<Definition>], count: Int) {
    self.chunks = chunks
    self.rows = rows
    self.count = count
  }

  package subscript(id: SymbolID) -> Definition? {
    let chunk = Int(id.index) >> SymbolTable.shift
    guard chunk < rows.count else { return nil }
    let found = rows[chunk][Int(id.index) & (SymbolTable.chunkSize - 1)]
    return found.kind == .none ? nil : found
  }

  /// All definitions, in the order of their numbers.
  package func forEach(_ body: (SymbolID, Definition) -> Void) {
    for (index, chunk) in chunks.enumerated() {
      for offset in 0..<SymbolTable.chunkSize where chunk.definitions[offset].kind != .none {
        body(SymbolID(UInt32(index << SymbolTable.shift + offset)), chunk.definitions[offset])
      }
    }
  }

  fileprivate final class Chunk: @unchecked Sendable {
    // Sound: written only through a draft that made this chunk, before the table is published.
    let definitions: UnsafeMutablePointer<Definition>

    init(copying other: Chunk?) {
      definitions = .allocate(capacity: SymbolTable.chunkSize)
      if let other {
        definitions.initialize(from: other.definitions, count: SymbolTable.chunkSize)
      } else {
        definitions.initialize(repeating: .absent, count: SymbolTable.chunkSize)
      }
    }

    deinit { definitions.deallocate() }
  }

  /// The next table, being written. What it holds lies behind a pointer: it is asked once or twice for every
  /// symbol of a link (J4.set).
  package struct Draft: ~Copyable {
    private struct State {
      var chunks: [Chunk]
      /// Where the definitions of each chunk are.
      var rows: [UnsafeMutablePointer<Definition>]
      var own: [Bool]
      var count: Int
    }

    private let state: UnsafeMutablePointer<State>

    package init(from table: SymbolTable) {
      state = .allocate(capacity: 1)
      state.initialize(
        to: State(
          chunks: table.chunks, rows: table.rows,
          own: [Bool](repeating: false, count: table.chunks.count), count: table.count))
    }

    deinit {
      state.deinitialize(count: 1)
      state.deallocate()
    }

    package subscript(id: SymbolID) -> Definition? {
      guard let found = place(id)?.pointee, found.kind != .none else { return nil }
      return found
    }

    /// Where the definition of a symbol stands, until another one is defined; nil for a symbol that has no
    /// place yet.
    @inline(__always)
    func place(_ id: SymbolID) -> UnsafePointer<Definition>? {
      let chunk = Int(id.index) >> SymbolTable.shift
      guard chunk < state.pointee.rows.count else { return nil }
      return UnsafePointer(
        state.pointee.rows[chunk] + (Int(id.index) & (SymbolTable.chunkSize - 1)))
    }

    package func define(_ id: SymbolID, _ definition: Definition) {
      let chunk = Int(id.index) >> SymbolTable.shift
      while state.pointee.chunks.count <= chunk { add(Chunk(copying: nil)) }
      if !state.pointee.own[chunk] {
        let copy = Chunk(copying: state.pointee.chunks[chunk])
        state.pointee.chunks[chunk] = copy
        state.pointee.rows[chunk] = copy.definitions
        state.pointee.own[chunk] = true
      }
      let place = state.pointee.rows[chunk] + (Int(id.index) & (SymbolTable.chunkSize - 1))
      state.pointee.count +=
        (definition.kind == .none ? 0 : 1) - (place.pointee.kind == .none ? 0 : 1)
      place.pointee = definition
    }

    private func add(_ chunk: Chunk) {
      state.pointee.chunks.append(chunk)
      state.pointee.rows.append(chunk.definitions)
      state.pointee.own.append(true)
    }

    package func remove(_ id: SymbolID) {
      if self[id] != nil { define(id, .absent) }
    }

    /// The table as it stands. The draft must not be written to afterwards.
    package var table: SymbolTable {
      SymbolTable(
        chunks: state.pointee.chunks, rows: state.pointee.rows, count: state.pointee.count)
    }
  }
}

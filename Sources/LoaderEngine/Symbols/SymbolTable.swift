// The symbols of one generation, by number. A table never changes once it is published; the next one
// shares with it whatever did not change, so its cost follows the change and not the program.

/// An immutable map from symbol numbers to definitions.
package final class SymbolTable: Sendable {
  fileprivate static let shift = 8
  fileprivate static let chunkSize = 1 << shift

  fileprivate let chunks: [Chunk]
  /// How many symbols are defined.
  package let count: Int

  package static let empty = SymbolTable(chunks: [], count: 0)

  fileprivate init(chunks: [Chunk], count: Int) {
    self.chunks = chunks
    self.count = count
  }

  package subscript(id: SymbolID) -> Definition? {
    let chunk = Int(id.index) >> SymbolTable.shift
    guard chunk < chunks.count else { return nil }
    let found = chunks[chunk].definitions[Int(id.index) & (SymbolTable.chunkSize - 1)]
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

  /// The next table, being written.
  package struct Draft: ~Copyable {
    private var chunks: [Chunk]
    private var own: [Bool]
    private var count: Int

    package init(from table: SymbolTable) {
      chunks = table.chunks
      own = [Bool](repeating: false, count: chunks.count)
      count = table.count
    }

    package subscript(id: SymbolID) -> Definition? {
      let chunk = Int(id.index) >> SymbolTable.shift
      guard chunk < chunks.count else { return nil }
      let found = chunks[chunk].definitions[Int(id.index) & (SymbolTable.chunkSize - 1)]
      return found.kind == .none ? nil : found
    }

    package mutating func define(_ id: SymbolID, _ definition: Definition) {
      let chunk = Int(id.index) >> SymbolTable.shift
      while chunks.count <= chunk {
        chunks.append(Chunk(copying: nil))
        own.append(true)
      }
      if !own[chunk] {
        chunks[chunk] = Chunk(copying: chunks[chunk])
        own[chunk] = true
      }
      let place = chunks[chunk].definitions + (Int(id.index) & (SymbolTable.chunkSize - 1))
      count += (definition.kind == .none ? 0 : 1) - (place.pointee.kind == .none ? 0 : 1)
      place.pointee = definition
    }

    package mutating func remove(_ id: SymbolID) {
      if self[id] != nil { define(id, .absent) }
    }

    /// The table as it stands. The draft must not be written to afterwards.
    package var table: SymbolTable { SymbolTable(chunks: chunks, count: count) }
  }
}

// Where a section's bytes run and where the linker writes them. Not always in one stretch: a reload
// leaves variables where they are and puts new ones elsewhere, and merged strings lie where the first
// of their kind was put. So `offset → address` is piecewise, never `base + offset`.

/// A stretch of a section that keeps together.
package struct Piece: @unchecked Sendable {
  /// Offset in the section, bytes.
  package var offset: UInt64
  package var size: UInt64
  package var address: UInt64
  /// Where the linker writes it; nil when it is there already.
  package var place: UnsafeMutableRawPointer?

  package init(offset: UInt64, size: UInt64, address: UInt64, place: UnsafeMutableRawPointer?) {
    self.offset = offset
    self.size = size
    self.address = address
    self.place = place
  }
}

/// A section in pieces, sorted by offset, without overlap.
package struct PieceTable: Sendable {
  package let pieces: [Piece]

  package init(_ pieces: [Piece]) { self.pieces = pieces }

  /// The piece that holds `offset`; of an offset between two pieces or at the end, the one before.
  package func find(_ offset: UInt64) -> Piece? {
    index(of: offset).map { pieces[$0] }
  }

  package func index(of offset: UInt64) -> Int? {
    var low = 0
    var high = pieces.count
    while low < high {
      let middle = (low + high) / 2
      if pieces[middle].offset <= offset { low = middle + 1 } else { high = middle }
    }
    return low > 0 ? low - 1 : nil
  }

  package func address(of offset: UInt64) -> UInt64? {
    find(offset).map { $0.address &+ (offset &- $0.offset) }
  }
}

/// A decision about a section made before the link: by the reload runtime, for kept state.
package enum SectionPlacement: @unchecked Sendable {
  /// The whole section runs at `address`; the linker writes to `place`, or nothing when it is nil.
  case whole(address: UInt64, place: UnsafeMutableRawPointer?)
  case pieces([PieceRequest])
  /// Not linked at all.
  case omitted
}

/// A stretch of a section and where it is to go.
package struct PieceRequest: @unchecked Sendable {
  package enum Home: @unchecked Sendable {
    /// It stays at `address`; its new bytes are written to `place`.
    case kept(address: UInt64, place: UnsafeMutableRawPointer?)
    /// Constant bytes without relocations: where the first of their content was put.
    case interned
    /// With the code of this object, and recycled with it.
    case tied
    /// New memory of its own.
    case fresh(Arena.Kind)
  }
  package var offset: UInt64
  package var size: UInt64
  package var home: Home

  package init(offset: UInt64, size: UInt64, home: Home) {
    self.offset = offset
    self.size = size
    self.home = home
  }
}

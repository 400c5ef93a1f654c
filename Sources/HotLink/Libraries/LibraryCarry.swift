// What is done to a library's variable or constant at the safe point: the same rules as for one of an object, at
// the address where it lives.
internal import LoaderEngine

/// A kept variable or constant of a library at the safe point.
struct LibraryCarry {
  var symbol: String
  /// Where it lives; 0: it is new, and in place.
  var home: UInt64
  var size: UInt64
  var oldSize: UInt64
  var image: ArraySlice<UInt8>?
  var oldImage: ArraySlice<UInt8>?
  /// A constant that was edited: where its new bytes are.
  var constant: UInt64?
  var isReadOnly = true
  var kind = Carry.Kind.state

  func perform(unit: String) -> Verdict {
    var fate = Verdict.Fate.added
    if let constant {
      ProtectedPages.write(
        from: Address(constant), to: AddressRange(start: Address(home), size: size),
        areReadOnly: isReadOnly)
      fate = .rewritten
    } else if home != 0 {
      fate = image.withBytes { image in
        oldImage.withBytes { oldImage in
          Carry(
            kind: kind, unit: unit, symbol: symbol, address: home, size: size, oldSize: oldSize,
            image: image, oldImage: oldImage
          ).performInPlace() ?? .kept
        }
      }
    }
    return Verdict(unit: unit, symbol: symbol, fate: fate)
  }
}

extension ArraySlice<UInt8>? {
  fileprivate func withBytes<Result>(_ body: (UnsafeRawPointer?) -> Result) -> Result {
    guard let self else { return body(nil) }
    return self.withUnsafeBytes { body($0.baseAddress) }
  }
}

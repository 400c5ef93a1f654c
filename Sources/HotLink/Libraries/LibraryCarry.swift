// What is done to a library's variable at the safe point: the same rules as for a variable of an object, at the
// address where it lives.

/// A kept variable of a library at the safe point.
struct LibraryCarry {
  var symbol: String
  /// Where it lives; 0: it is new, and in place.
  var home: UInt64
  var size: UInt64
  var oldSize: UInt64
  var image: ArraySlice<UInt8>?
  var oldImage: ArraySlice<UInt8>?

  func perform(unit: String) -> Verdict {
    var fate = Verdict.Fate.added
    if home != 0 {
      fate = image.withBytes { image in
        oldImage.withBytes { oldImage in
          Carry(
            kind: .state, unit: unit, symbol: symbol, address: home, size: size, oldSize: oldSize,
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

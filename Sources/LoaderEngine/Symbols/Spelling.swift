// The nearest spelling: what somebody may have meant who asks for a name that nobody defines.

/// How far two names are apart.
enum Spelling {
  /// Levenshtein's distance, or nil when it is more than `limit`.
  static func distance(_ a: [UInt8], _ b: UnsafeRawBufferPointer, limit: Int) -> Int? {
    guard limit >= 0 else { return nil }
    var row = Array(0...b.count)
    for (i, left) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      var smallest = row[0]
      for j in 0..<b.count {
        let cost = left == b[j] ? diagonal : min(diagonal, row[j], row[j + 1]) + 1
        diagonal = row[j + 1]
        row[j + 1] = cost
        smallest = min(smallest, cost)
      }
      if smallest > limit { return nil }
    }
    return row[b.count] <= limit ? row[b.count] : nil
  }
}

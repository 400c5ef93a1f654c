// The FDEs that compilers emit: four bytes each for place and size, counted from the place. They are proven in a loop
// without calls, and from two ends: where a record ends is only known when it is read, which takes as long as all else
// that is to be proven of it (J2.relative). LSB 5.0, “Exception Frames”.

/// Proves runs of ordinary FDEs that name the same CIE.
struct OrdinaryRecords {
  private let base: UnsafeRawPointer
  private let count: UInt64
  /// From here on no record has room.
  private let last: UInt64
  /// To an offset of the table: what lies there, counted from where the code begins.
  private let delta: UInt64
  /// Bytes of code.
  private let room: UInt64
  /// To an offset of the table: what a record there says, counted from its own field.
  private let own: UInt64

  /// How far a proof has come.
  struct Progress {
    /// Where the next record begins.
    var at: UInt64
    /// Where the code of the last one begins.
    var begin: UInt64
    var isInOrder = true
    /// The record at `at` is for code outside its object.
    var isDefect = false
  }

  /// - Parameters:
  ///   - start: run-time address of the table's first byte.
  ///   - entry: offset of the CIE.
  /// - Returns: nil for tables that are too short, or too long, for this.
  init?(_ bytes: UnsafeRawBufferPointer, at start: UInt64, text: AddressRange, of entry: Int) {
    guard let base = bytes.baseAddress, bytes.count >= 16, bytes.count < Int(UInt32.max) else {
      return nil
    }
    self.base = base
    count = UInt64(bytes.count)
    last = count - 16
    delta = start &- text.start.value &+ 8
    room = text.size
    own = 4 &- UInt64(entry)
  }

  /// Proves records up to the first other one.
  ///
  /// - Parameter middle: where a record may begin, somewhere behind; it is none if the records before it do not end there.
  func pass(_ progress: inout Progress, middle: Int?) {
    if let middle = middle.map(UInt64.init), middle > progress.at, middle <= last {
      passBeside(&progress, middle)
      if progress.isDefect { return }
    }
    while progress.at <= last, passOne(&progress) {}
  }

  /// Proves, with those before the middle, as many behind it.
  private func passBeside(_ first: inout Progress, _ middle: UInt64) {
    var second = Progress(at: middle, begin: 0)
    guard passOne(&second) else { return }
    let begin = second.begin
    var goesOn = true
    while first.at < middle {
      guard passOne(&first) else { return }
      if goesOn { goesOn = second.at <= last && passOne(&second) }
    }
    guard first.at == middle else { return }
    second.isInOrder = second.isInOrder && first.isInOrder && begin >= first.begin
    first = second
  }

  /// - Returns: false before a record of another kind, and before a defect.
  @inline(__always)
  private func passOne(_ progress: inout Progress) -> Bool {
    let at = progress.at
    let record = base + Int(truncatingIfNeeded: at)
    let head = record.loadUnaligned(as: UInt64.self)
    let size = head & 0xFFFF_FFFF
    let next = at &+ size &+ 4
    guard size >= 12, next <= count, head &>> 32 == at &+ own else { return false }
    let place = Int64((record + 8).loadUnaligned(as: Int32.self))
    // The unwinder passes over a location of zero.
    if place == 0 {
      progress.isInOrder = false
    } else {
      let begin = UInt64(bitPattern: place) &+ (at &+ delta)
      let length = UInt64(bitPattern: Int64((record + 12).loadUnaligned(as: Int32.self)))
      guard begin <= room, length <= room &- begin else {
        progress.isDefect = true
        return false
      }
      if begin < progress.begin { progress.isInOrder = false }
      progress.begin = begin
    }
    progress.at = next
    return true
  }
}

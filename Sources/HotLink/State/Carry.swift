// What has to be done to memory at the safe point, decided beforehand: each step compares what is there
// with the old and the new first bytes, and writes or leaves it.
internal import Glibc
internal import LoaderEngine

/// One variable or constant on its way from a generation to the next.
struct Carry {
  enum Kind {
    /// State: the old value wins unless nobody has touched it.
    case state
    /// State whose value wins, touched or not.
    case held
    /// State: an edited first value wins.
    case source
    /// State that gets its first value again.
    case reset
    /// State that did not exist before.
    case added
    /// Read-only: the new bytes are written where they differ.
    case constant
    /// A language's record: words that the edit changed are written.
    case identity
    /// Filled by a language's runtime: the old value wins, and that is no news.
    case cache
  }

  var kind: Kind
  var unit: String
  var symbol: String
  var address: UInt64
  var size: UInt64
  /// Size in the old generation; 0 when it is new.
  var oldSize: UInt64
  /// First bytes in the new and in the old generation; nil: zero.
  var image: UnsafeRawPointer?
  var oldImage: UnsafeRawPointer?

  /// State of the same size and first bytes as before: it stays, whatever it holds.
  var isKept: Bool {
    switch kind {
    case .state, .held, .source:
      size == oldSize && !Carry.differ(image, oldImage, Int(clamping: size))
    case .reset, .added, .constant, .identity, .cache: false
    }
  }

  /// Whether the program has written to it.
  func isTouched(in arena: Arena) -> Bool {
    guard let live = arena.place(of: Address(address)) else { return false }
    return Carry.differ(UnsafeRawPointer(live), oldImage, Int(min(size, oldSize)))
  }

  /// Carries it out where the linker writes the arena.
  func perform(in arena: Arena) -> Verdict.Fate? {
    arena.place(of: Address(address)).flatMap { perform(at: $0) }
  }

  /// Carries it out at the variable's own address, which must be writable.
  func performInPlace() -> Verdict.Fate? {
    UnsafeMutableRawPointer(bitPattern: UInt(address)).flatMap { perform(at: $0) }
  }

  private func perform(at live: UnsafeMutableRawPointer) -> Verdict.Fate? {
    let common = Int(min(size, oldSize))
    switch kind {
    case .added:
      Carry.copy(image, to: live, Int(size))
      return .added
    case .reset:
      Carry.copy(image, to: live, Int(size))
      return .reset(moved: false)
    case .constant:
      guard let image, memcmp(live, image, Int(size)) != 0 else { return nil }
      memcpy(live, image, Int(size))
      return .rewritten
    case .identity:
      return writeChangedWords(to: live, common) ? .rewritten : nil
    case .cache:
      if Carry.differ(image, oldImage, common),
        !Carry.differ(UnsafeRawPointer(live), oldImage, common)
      {
        Carry.copy(image, to: live, common)
      }
      return nil
    case .state, .held, .source:
      var fate = Verdict.Fate.kept
      if Carry.differ(image, oldImage, common) {
        let isTouched = Carry.differ(UnsafeRawPointer(live), oldImage, common)
        let count = min(common, 8)
        let value = Array(UnsafeRawBufferPointer(start: live, count: count))
        let source =
          image.map { Array(UnsafeRawBufferPointer(start: $0, count: count)) }
          ?? [UInt8](repeating: 0, count: count)
        if kind == .held || (kind == .state && isTouched) {
          fate = .keptOverEdit(value: value, source: source)
        } else {
          Carry.copy(image, to: live, common)
          fate = isTouched ? .overwritten(value: value, source: source) : .reinitialised
        }
      }
      if size > oldSize {
        Carry.copy(image.map { $0 + common }, to: live + common, Int(size) - common)
        if fate == .kept { fate = .grown(from: oldSize, to: size) }
      } else if size < oldSize, fate == .kept {
        fate = .shrunk(from: oldSize, to: size)
      }
      return fate
    }
  }

  /// Eight bytes at a time, so that a record of two words never shows one old and one new half.
  private func writeChangedWords(to live: UnsafeMutableRawPointer, _ count: Int) -> Bool {
    guard let image, let oldImage, memcmp(image, oldImage, count) != 0 else { return false }
    var at = 0
    while at < count {
      let width = address &+ UInt64(at) & 7 == 0 && count - at >= 8 ? 8 : 1
      if memcmp(image + at, oldImage + at, width) != 0 {
        if width == 8 {
          live.storeBytes(
            of: image.loadUnaligned(fromByteOffset: at, as: UInt64.self), toByteOffset: at,
            as: UInt64.self)
        } else {
          live.storeBytes(
            of: image.load(fromByteOffset: at, as: UInt8.self), toByteOffset: at, as: UInt8.self)
        }
      }
      at += width
    }
    return true
  }

  /// Whether `count` bytes differ; nil stands for zeros.
  static func differ(_ a: UnsafeRawPointer?, _ b: UnsafeRawPointer?, _ count: Int) -> Bool {
    switch (a, b) {
    case (nil, nil): return false
    case (let a?, let b?): return memcmp(a, b, count) != 0
    case (let one?, nil), (nil, let one?):
      return UnsafeRawBufferPointer(start: one, count: count).contains { $0 != 0 }
    }
  }

  private static func copy(
    _ source: UnsafeRawPointer?, to place: UnsafeMutableRawPointer, _ count: Int
  ) {
    if let source { memcpy(place, source, count) } else { memset(place, 0, count) }
  }
}

// Colours and moods. The painter is made once, at the first call, and kept through every reload: what it has heard,
// which mood it is in and how many strokes it has made go on, while the moods themselves may be rewritten.

struct Colour {
  var red, green, blue: Float

  init(_ hex: UInt32) {
    red = Float(hex >> 16 & 255)
    green = Float(hex >> 8 & 255)
    blue = Float(hex & 255)
  }

  var hex: UInt32 { UInt32(red) << 16 | UInt32(green) << 8 | UInt32(blue) }

  func mixed(with other: Colour, by share: Float) -> Colour {
    var mix = self
    mix.red += (other.red - red) * share
    mix.green += (other.green - green) * share
    mix.blue += (other.blue - blue) * share
    return mix
  }
}

// Computed properties on purpose: a computed one is code, so that an edit shows in the next frame; a stored one
// would be state, and state is kept.
protocol Mood: AnyObject {
  var name: String { get }
  var colours: [UInt32] { get }
  var horizon: UInt32 { get }
}

final class Calm: Mood {
  var name: String { "calm" }  // try: "serene"
  var colours: [UInt32] { [0x4cc9f0, 0x4895ef, 0x7b5cff, 0xb388ff, 0x80ffdb] }  // try: your own
  var horizon: UInt32 { 0x10204c }  // try: 0x4c1030
}

final class Merry: Mood {
  var name: String { "merry" }
  var colours: [UInt32] { [0xffd166, 0xff9f1c, 0xef476f, 0xf78c6b, 0x06d6a0] }
  var horizon: UInt32 { 0x3a1450 }
}

final class Wild: Mood {
  var name: String { "wild" }
  var colours: [UInt32] { [0xff006e, 0xfb5607, 0xffbe0b, 0x8338ec, 0x3aff7a] }
  var horizon: UInt32 { 0x5a0c18 }
}

final class Painter {
  private(set) var mood: any Mood = Calm()
  private var before: any Mood = Calm()
  private var blend: Float = 1
  private var excitement: Float = 0
  private(set) var strokes: Int64 = 0

  /// Follows the bounces of the last seconds; the mood changes when there are many or few of them.
  func listen(bounces: Int32, dt: Float) {
    strokes += 1
    excitement += Float(bounces) - excitement * 0.4 * dt  // try: 4.0 — forgets at once, always calm
    blend = min(1, blend + dt)
    switch excitement {
    case ..<26: enter { Calm() }  // try: ..<3 — hardly ever calm
    case 32..<46: enter { Merry() }
    case 52...: enter { Wild() }
    default: break  // between two moods: stay in the one it is in
    }
  }

  private func enter<M: Mood>(_ make: () -> M) {
    guard blend >= 1, !(mood is M) else { return }
    before = mood
    mood = make()
    blend = 0
  }

  func colour(_ hue: Float) -> Colour {
    pick(before.colours, hue).mixed(with: pick(mood.colours, hue), by: blend)
  }

  func sky(_ height: Float) -> Colour {
    let horizon = Colour(before.horizon).mixed(with: Colour(mood.horizon), by: blend)
    return Colour(0x02030a).mixed(with: horizon, by: height * height)
  }

  private func pick(_ colours: [UInt32], _ hue: Float) -> Colour {
    guard !colours.isEmpty else { return Colour(0xffffff) }
    let place = (hue - hue.rounded(.down)) * Float(colours.count)
    let first = min(Int(place), colours.count - 1)
    let second = (first + 1) % colours.count
    return Colour(colours[first]).mixed(with: Colour(colours[second]), by: place - Float(first))
  }
}

let painter = Painter()

@_cdecl("palette_listen")
public func listen(bounces: Int32, dt: Float) { painter.listen(bounces: bounces, dt: dt) }

@_cdecl("palette_colour")
public func colour(hue: Float) -> UInt32 { painter.colour(hue).hex }

@_cdecl("palette_sky")
public func sky(height: Float) -> UInt32 { painter.sky(height).hex }

@_cdecl("palette_strokes")
public func strokes() -> Int64 { painter.strokes }

@_cdecl("palette_mood")
public func mood(text: UnsafeMutablePointer<CChar>, size: Int) {
  let name = painter.mood.name.utf8.prefix(size - 1)
  for (place, byte) in name.enumerated() { text[place] = CChar(bitPattern: byte) }
  text[name.count] = 0
}

// A line of `hotlink watch --json`, as the command promises it: fields that a test reads by name.
import Foundation

/// One JSON event.
struct RunnerEvent: Decodable, Sendable {
  struct Verdict: Decodable, Sendable {
    var symbol: String
    var unit: String
    var fate: String
    var value: Int64?
    var source: Int64?
    var from: UInt64?
    var to: UInt64?
    var moved: Bool?
    var hook: String?
  }
  /// A type that changed.
  struct Layout: Decodable, Sendable {
    struct Form: Decodable, Sendable {
      struct Member: Decodable, Sendable {
        var kind: String
        var offset: Int
        var size: Int
        var type: String
        var name: String
      }
      var name: String
      var size: Int
      var members: [Member]
    }
    struct Difference: Decodable, Sendable {
      var path: String
      var change: String
      var text: String
      var old: Form
      var new: Form
    }
    var kind: String
    var name: String
    var unit: String
    var callers: [String]?
    var differences: [Difference]
  }
  struct Blind: Decodable, Sendable {
    var unit: String
    var reason: String
  }
  struct Frame: Decodable, Sendable {
    var function: String
    var unit: String
    var generation: Int
    var thread: Int32
    var threadName: String?

    private enum CodingKeys: String, CodingKey {
      case function, unit, generation, thread
      case threadName = "thread_name"
    }
  }
  struct Shadowed: Decodable, Sendable {
    var symbol: String
    var unit: String
    var owner: String
  }
  struct Pin: Decodable, Sendable {
    var unit: String
    var bytes: UInt64
    var reason: String
  }

  var event: String
  var generation: Int?
  /// Names in `reloaded`; `started` has their number, in `unitCount`.
  var units: [String] = []
  var unitCount: Int?
  var relinked: [String] = []
  var relocations: Int?
  var changed: Int?
  var added: Int?
  var removed: Int?
  var kept: Int?
  var reinitialised: Int?
  var functions: [String] = []
  var verdicts: [Verdict] = []
  var pins: [Pin] = []
  var undefined: [String] = []
  var immovable: [String] = []
  var hooks: [String] = []
  var addedFunctions: [String] = []
  var removedFunctions: [String] = []
  /// Whether the program can tell the difference.
  var effect: Bool?
  var running: [Frame] = []
  var shadowed: [Shadowed] = []
  /// In `unchanged`: what was saved as it was had been refused.
  var isRefused: Bool?
  var swiftRegistrations: Int?
  var pinnedBytes: UInt64?
  var reason: String?
  var unit: String?
  var policy: String?
  var obstacle: String?
  var layouts: [Layout] = []
  var layoutWarnings: [Layout] = []
  var blind: [Blind] = []
  var heldBack: [String] = []
  var restartNeeded: Bool?
  var frames: UInt64?
  /// Where it stands in the output.
  var index = 0

  private enum Key: String, CodingKey {
    case event, generation, units, relinked, relocations, changed, added, removed, kept
    case reinitialised, functions, verdicts, pins, undefined, immovable
    case hooks, effect, running, shadowed, refused
    case addedFunctions = "added_functions"
    case removedFunctions = "removed_functions"
    case swiftRegistrations = "swift_registrations"
    case pinnedBytes = "pinned_bytes"
    case reason, unit, frames, policy, obstacle, layouts, blind
    case layoutWarnings = "layout_warnings"
    case heldBack = "held_back"
    case restartNeeded = "restart_needed"
  }

  /// In place of one that has not come yet.
  static let none = RunnerEvent()
  private init() { event = "none" }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    event = try values.decode(String.self, forKey: .event)
    generation = try values.decodeIfPresent(Int.self, forKey: .generation)
    // `functions` and `units` are numbers in `started`, names in `reloaded`.
    units = (try? values.decodeIfPresent([String].self, forKey: .units)) ?? []
    unitCount = try? values.decodeIfPresent(Int.self, forKey: .units)
    functions = (try? values.decodeIfPresent([String].self, forKey: .functions)) ?? []
    func names(_ key: Key) throws -> [String] {
      try values.decodeIfPresent([String].self, forKey: key) ?? []
    }
    relinked = try names(.relinked)
    undefined = try names(.undefined)
    immovable = try names(.immovable)
    hooks = try names(.hooks)
    addedFunctions = try names(.addedFunctions)
    removedFunctions = try names(.removedFunctions)
    effect = try values.decodeIfPresent(Bool.self, forKey: .effect)
    running = try values.decodeIfPresent([Frame].self, forKey: .running) ?? []
    shadowed = try values.decodeIfPresent([Shadowed].self, forKey: .shadowed) ?? []
    isRefused = try values.decodeIfPresent(Bool.self, forKey: .refused)
    relocations = try values.decodeIfPresent(Int.self, forKey: .relocations)
    changed = try values.decodeIfPresent(Int.self, forKey: .changed)
    added = try values.decodeIfPresent(Int.self, forKey: .added)
    removed = try values.decodeIfPresent(Int.self, forKey: .removed)
    kept = try values.decodeIfPresent(Int.self, forKey: .kept)
    reinitialised = try values.decodeIfPresent(Int.self, forKey: .reinitialised)
    verdicts = try values.decodeIfPresent([Verdict].self, forKey: .verdicts) ?? []
    pins = try values.decodeIfPresent([Pin].self, forKey: .pins) ?? []
    swiftRegistrations = try values.decodeIfPresent(Int.self, forKey: .swiftRegistrations)
    pinnedBytes = try values.decodeIfPresent(UInt64.self, forKey: .pinnedBytes)
    reason = try values.decodeIfPresent(String.self, forKey: .reason)
    unit = try values.decodeIfPresent(String.self, forKey: .unit)
    frames = try values.decodeIfPresent(UInt64.self, forKey: .frames)
    policy = try values.decodeIfPresent(String.self, forKey: .policy)
    obstacle = try values.decodeIfPresent(String.self, forKey: .obstacle)
    layouts = try values.decodeIfPresent([Layout].self, forKey: .layouts) ?? []
    layoutWarnings = try values.decodeIfPresent([Layout].self, forKey: .layoutWarnings) ?? []
    blind = try values.decodeIfPresent([Blind].self, forKey: .blind) ?? []
    heldBack = try names(.heldBack)
    restartNeeded = try values.decodeIfPresent(Bool.self, forKey: .restartNeeded)
  }

  /// The verdict on a variable, by its symbol, or by a part of a mangled one.
  func verdict(on symbol: String) -> Verdict? {
    verdicts.first { $0.symbol == symbol } ?? verdicts.first { $0.symbol.contains(symbol) }
  }

  /// File names of the relinked units.
  var relinkedFiles: [String] { relinked.map(RunnerEvent.file) }
  var unitFiles: [String] { units.map(RunnerEvent.file) }
  private static func file(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  /// Whether an address of a function could not be redirected, and the report says so.
  func reportsOldBody(of function: String) -> Bool {
    immovable.contains { $0.contains(function) }
  }
}

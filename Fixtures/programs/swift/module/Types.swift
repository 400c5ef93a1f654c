struct Item: Identifiable, Equatable { var id: Int; var label: String }
final class Registry { var names: [String] = [] }
nonisolated(unsafe) let registry: Registry = { print("registry made"); return Registry() }()
protocol Printer { func render(_ value: some CustomStringConvertible) -> String }
protocol Describable { var details: String { get } }
struct Plain: Printer { func render(_ value: some CustomStringConvertible) -> String { value.description } }
struct Fancy: Printer { var frame: String; func render(_ value: some CustomStringConvertible) -> String { frame + value.description + frame } }
extension Fancy: Describable { var details: String { "framed by \(frame)" } }
protocol Doubling { var doubled: Self { get } }
extension Int: Doubling { var doubled: Int { self * 2 } }
extension String: Doubling { var doubled: String { self + self } }
extension Array: Doubling where Element: Doubling { var doubled: [Element] { map(\.doubled) } }
private func helper() -> Int { 1 }
final class Counter: @unchecked Sendable { static let shared = Counter(); private var n = 0; func next() -> Int { n += helper(); return n } }

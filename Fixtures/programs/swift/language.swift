// The Swift language at run time: generics, classes, protocols, casts, errors, closures, key paths, reflection.
// run: one two
// run: fail
// run: trap
// run: exit
// input: line one\nline two\n
// environment: HOTLINK_PROGRAM=told

#if canImport(Glibc)
import Glibc
#endif

protocol Shape: CustomStringConvertible { associatedtype Unit: Numeric; var area: Unit { get }; static var kind: String { get } }
extension Shape { var description: String { "\(Self.kind) of \(area)" } }
struct Square: Shape, Hashable { var side: Int; var area: Int { side * side }; static let kind = "square" }
final class Circle: Shape { let radius: Double; init(_ r: Double) { radius = r }; var area: Double { radius * radius * 3 }; static var kind: String { "circle" }; deinit { print("circle gone") } }
enum Tree<Element: Comparable> { indirect case node(Tree, Element, Tree); case leaf
  func inserting(_ e: Element) -> Tree {
    switch self {
    case .leaf: .node(.leaf, e, .leaf)
    case .node(let l, let v, let r): e < v ? .node(l.inserting(e), v, r) : .node(l, v, r.inserting(e))
    }
  }
  var sorted: [Element] { switch self { case .leaf: []; case .node(let l, let v, let r): l.sorted + [v] + r.sorted } }
}
class Animal { var name: String; init(name: String) { self.name = name }; func speak() -> String { "..." }; class var legs: Int { 4 } }
class Dog: Animal { override func speak() -> String { "\(name) barks" }; lazy var tricks = ["sit"] }
class Bird: Animal { override func speak() -> String { "\(name) sings" }; override class var legs: Int { 2 } }
enum Failure: Error, Equatable { case code(Int), text(String) }
struct Typed: Error { var reason: String }
@propertyWrapper struct Clamped<Value: Comparable> { private var value: Value; let range: ClosedRange<Value>
  init(wrappedValue: Value, _ range: ClosedRange<Value>) { self.range = range; value = min(max(wrappedValue, range.lowerBound), range.upperBound) }
  var wrappedValue: Value { get { value } set { value = min(max(newValue, range.lowerBound), range.upperBound) } }
  var projectedValue: String { "\(range)" } }
@resultBuilder enum Lines { static func buildBlock(_ parts: String...) -> String { parts.joined(separator: "|") }; static func buildOptional(_ part: String?) -> String { part ?? "-" } }
struct Settings { @Clamped(0...10) var level = 50; var title = "none" }
struct Matrix<let count: Int> { var cells: InlineArray<count, Int>; var total: Int { var t = 0; for i in cells.indices { t += cells[i] }; return t } }
func opaque(_ n: Int) -> some Collection<Int> { (0..<n).lazy.map { $0 * 2 } }
func risky(_ n: Int) throws -> Int { if n % 3 == 0 { throw Failure.code(n) }; if n % 5 == 0 { throw Failure.text("five") }; return n }
func typed(_ n: Int) throws(Typed) -> Int { guard n > 0 else { throw Typed(reason: "not positive") }; return n }
func texts<each T>(_ value: repeat each T) -> [String] { var all: [String] = []; repeat all.append(String(describing: each value)); return all }
struct Resource: ~Copyable { let name: String; deinit { print("released \(name)") }; consuming func finish() { print("finished \(name)") } }
@Lines func page(_ more: Bool) -> String { "first"; if more { "more" }; "last" }
nonisolated(unsafe) var initialised = 0
let global: Int = { initialised += 1; return 42 }()

@main struct Main {
  static func main() {
    let arguments = Array(CommandLine.arguments.dropFirst())
    print(arguments, getenv("HOTLINK_PROGRAM").map { String(cString: $0) } ?? "none")
    while let line = readLine() { print("read", line) }
    let shapes: [any Shape] = [Square(side: 3), Circle(2)]
    for shape in shapes { print(shape, shape is Square, (shape as? Circle)?.radius ?? -1) }
    print([5, 2, 8, 1].reduce(Tree<Int>.leaf) { $0.inserting($1) }.sorted, ["b", "a"].reduce(Tree.leaf) { $0.inserting($1) }.sorted)
    let animals: [Animal] = [Dog(name: "Rex"), Bird(name: "Tweety"), Animal(name: "thing")]
    for animal in animals { print(animal.speak(), type(of: animal).legs, type(of: animal)) }
    print((animals[0] as? Dog)?.tricks ?? [], animals[1] is Dog, animals.compactMap { $0 as? Bird }.count)
    for n in 1...6 { do { print(try risky(n), terminator: " ") } catch Failure.code(let code) { print("code \(code)", terminator: " ") } catch { print(error, terminator: " ") } }
    print(); do { _ = try typed(0) } catch { print(error.reason) }
    var settings = Settings(); settings.level -= 3
    let path = \Settings.title; settings[keyPath: path] = "given"
    print(settings.level, settings.$level, settings[keyPath: path], Mirror(reflecting: settings).children.count)
    print(opaque(5).reduce(0, +), texts(1, "two", 3.0), page(true), page(false))
    let any: [Any] = [1, "text", 2.5, Square(side: 1), [1, 2], { (x: Int) in x + 1 }]
    for value in any { switch value { case let i as Int: print("int", i); case let s as String: print("string", s); case let s as any Shape: print("shape", s); case let f as (Int) -> Int: print("function", f(1)); default: print(type(of: value)) } }
    let counts = "the quick the lazy the".split(separator: " ").reduce(into: [:]) { $0[$1, default: 0] += 1 }
    print(counts.sorted { ($0.value, $0.key) > ($1.value, $1.key) }.map { "\($0.key)=\($0.value)" }, Set([Square(side: 1), Square(side: 1)]).count)
    print("héllo🇩🇪".count, "straße".uppercased(), "a,b,,c".split(separator: ",", omittingEmptySubsequences: false), "abc" ~= "abc")
    print("12:34".firstMatch(of: #/(\d+):(\d+)/#).map { "\($0.1)-\($0.2)" } ?? "no match")
    var counter = 0; let increments = (1...3).map { step in { counter += step } }; increments.forEach { $0() }; print(counter, global + global, initialised)
    let first = Resource(name: "first"); first.finish(); let second = Resource(name: "second"); _ = second
    print(Matrix<3>(cells: [1, 2, 3]).total, Int8.max.addingReportingOverflow(1), UInt64.max.multipliedFullWidth(by: 3).high)
    if #available(macOS 999, *) { print(Int.random(in: 4...4)) }
    fputs("on the error stream\n", stderr)
    switch arguments.first {
    case "fail": fatalError("as asked")
    case "trap": let list = [1, 2, 3]; print(list[arguments.count + 3])
    case "exit": exit(19)
    default: break
    }
  }
}

// Concurrency: an asynchronous main, task groups, actors, streams, cancellation, continuations, errors over awaits.
// run:
// run: throw

struct Failure: Error, CustomStringConvertible { var description: String }
actor Counter { private(set) var value = 0; func add(_ n: Int) -> Int { value += n; return value }
  func slowly() async -> Int { let before = value; await Task.yield(); return value - before } }
@globalActor actor Desk { static let shared = Desk() }
@Desk var notes: [String] = []
@Desk func note(_ text: String) { notes.append(text) }
enum Local { @TaskLocal static var name = "none" }
func square(_ n: Int) async throws -> Int { await Task.yield(); if n == 13 { throw Failure(description: "thirteen") }; return n * n }
func deep(_ n: Int) async -> Int { n == 0 ? 0 : await deep(n - 1) + 1 }
func numbers(_ count: Int) -> AsyncStream<Int> { AsyncStream { c in Task { for i in 0..<count { c.yield(i); await Task.yield() }; c.finish() } } }
struct Countdown: AsyncSequence { var from: Int
  struct Iterator: AsyncIteratorProtocol { var left: Int; mutating func next() async -> Int? { guard left > 0 else { return nil }; await Task.yield(); left -= 1; return left + 1 } }
  func makeAsyncIterator() -> Iterator { Iterator(left: from) } }

@main struct Main {
  static func main() async throws {
    let sum = try await withThrowingTaskGroup(of: Int.self) { group in
      for n in 1...10 { group.addTask { try await square(n) } }
      return try await group.reduce(0, +)
    }
    print(sum, await deep(500))
    do { _ = try await withThrowingTaskGroup(of: Int.self) { group in
      for n in 12...14 { group.addTask { try await square(n) } }
      return try await group.reduce(0, +) }
    } catch { print("caught", error) }
    let counter = Counter()
    await withTaskGroup(of: Void.self) { group in for n in 1...100 { group.addTask { _ = await counter.add(n) } } }
    print(await counter.value, await counter.slowly())
    var seen: [Int] = []; for await n in numbers(5) { seen.append(n) }
    for await n in Countdown(from: 3) { seen.append(n) }
    print(seen)
    let sleeper = Task { do { try await Task.sleep(for: .seconds(100)); return "slept" } catch is CancellationError { return "cancelled" } }
    sleeper.cancel(); print(try await sleeper.value)
    let value = await withCheckedContinuation { (c: CheckedContinuation<Int, Never>) in Task.detached { c.resume(returning: 7) } }
    let failed = await Task { try await withUnsafeThrowingContinuation { (c: UnsafeContinuation<Int, any Error>) in c.resume(throwing: Failure(description: "continued")) } }.result
    print(value, failed)
    async let a = square(3); async let b = square(4); print(try await a + b)
    await note("first"); await Desk.run { notes.append("second") }; print(await notes)
    await Local.$name.withValue("bound") { print(Local.name, await Task { Local.name }.value, await Task.detached { Local.name }.value) }
    print(Local.name, Task.isCancelled)
    let clock = ContinuousClock(); let time = try await clock.measure { try await Task.sleep(for: .milliseconds(5)) }; print(time >= .milliseconds(5))
    if CommandLine.arguments.count > 1 { throw Failure(description: "out of main") }
  }
}
extension Desk { static func run(_ body: @Desk () -> Void) async { await body() } }

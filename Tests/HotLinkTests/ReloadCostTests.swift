// What a reload looks at grows with its input, not with its square: steps that the engine counts, in a process of their own.
import Foundation
import HotLink
import LoaderEngine
import TestFixtures
import Testing

@Suite("Costs of a reload")
struct ReloadCostTests {
  /// An object with many more relocation sections for its data, each like the one that is there.
  private static func object(_ version: Int, lists: Int) throws -> [UInt8] {
    var object = try Compiled.object(
      .gcc, "int other; int *where = &other; int now(void) { return \(version) + *where; }",
      flags: ["-O1", "-fno-pic"])
    func number(_ at: Int, _ size: Int) -> Int {
      (0..<size).reduce(0) { $0 | Int(object[at + $1]) << ($1 * 8) }
    }
    let table = number(40, 8)
    let count = number(60, 2)
    let names = number(table + number(62, 2) * 64 + 24, 8)
    let list = try #require(
      (0..<count).map { table + $0 * 64 }.first { header in
        object[(names + number(header, 4))...].starts(with: ".rela.data".utf8)
      })
    let headers = object[table..<(table + count * 64)]
    let more = Array(object[list..<(list + 64)])
    object += [UInt8](repeating: 0, count: 7 - (object.count + 7) % 8)
    let start = object.count
    object += headers
    for _ in 0..<lists { object += more }
    for byte in 0..<8 { object[40 + byte] = UInt8(truncatingIfNeeded: start >> (byte * 8)) }
    for byte in 0..<2 {
      object[60 + byte] = UInt8(truncatingIfNeeded: (count + lists) >> (byte * 8))
    }
    return object
  }

  @Test("Twice as many relocation sections for one section take twice the steps")
  func lists() async {
    await #expect(processExitsWith: .success) {
      func steps(_ lists: Int) throws -> Int {
        let session = try Session([:])
        try session.add(ReloadCostTests.object(0, lists: 0), name: "a.o")
        try session.start()
        let object = try ReloadCostTests.object(1, lists: lists)
        // The linker's thread begins as soon as it is added.
        let before = LinkSteps.count
        try session.add(object, name: "a.o")
        try #require(session.takeNew())
        #expect(try session.call("now") == 1)
        return LinkSteps.count - before
      }
      let (one, two) = (try steps(2000), try steps(4000))
      #expect(one > 4000)
      #expect(Double(two) < 2.2 * Double(one), "\(one) → \(two)")
    }
  }
}

// One source, linked and made callable: for tests that need machine code of their own.
import LoaderEngine
import TestFixtures
import Testing

/// A unit whose functions can be called while this lives.
struct Published {
  let set: LinkedSet

  init(_ source: String, _ compiler: Compiler, flags: [String] = []) throws {
    let space = try LinkSpace()
    set = try LinkTests.link([source], compiler: compiler, flags: flags, in: space)
    _ = try set.commit()
    space.slots.publish(set.slotChanges)
  }

  func address(_ name: String) throws -> Address {
    let id = try #require(set.space.names.find(name))
    return Address(try #require(set.definition(of: id)).address)
  }
}

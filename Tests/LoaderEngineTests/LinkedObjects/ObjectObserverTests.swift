// What an observer of a link sees, and what it may decide.
import LoaderEngine
import Synchronization
import TestFixtures
import Testing

@Suite("Observing links of objects")
struct ObjectObserverTests {
  static let source = """
    long number = 5;
    long *pointer = &number;
    static __thread long local = 3;
    long other(long);
    long run(long n) { return other(n) + number + local++; }
    """

  @Test("Every section is told before any relocation, and every relocation with its value")
  func seen() throws {
    let events = Mutex<(sections: [PlacedSection], relocations: [ObjectRelocation])>(([], []))
    var observer = ObjectObserver()
    observer.placed = { section in
      events.withLock {
        #expect($0.relocations.isEmpty)
        $0.sections.append(section)
      }
    }
    observer.didRelocate = { relocation in events.withLock { $0.relocations.append(relocation) } }
    var options = ObjectOptions()
    options.observer = observer
    let context = LinkContext()
    let objects = try context.link([.made(Self.source)], options: options)
    let (sections, relocations) = events.withLock { $0 }
    #expect(sections.map(\.section).contains(".text"))
    #expect(sections.filter(\.isThreadLocal).map(\.range.size) == [8])
    #expect(relocations.count == objects.relocationCount)
    let pointer = try #require(relocations.first { $0.section.hasPrefix(".data") })
    #expect(pointer.typeName == "R_X86_64_64")
    #expect(pointer.symbol == "number")
    #expect(Address(pointer.value) == objects.address(of: "number"))
    #expect(pointer.place == objects.address(of: "pointer"))
    let call = try #require(relocations.first { $0.symbol == "other" })
    #expect(call.typeName == "R_X86_64_PLT32")
    let home = try #require(sections.first { $0.section == ".text" })
    #expect(home.range.contains(call.place))
  }

  @Test("A decision changes what is written, or leaves the bytes alone")
  func decided() throws {
    let context = LinkContext()
    let seven: LongFunction = { _, _ in 7 }
    try context.define("replacement", HostSymbol(function: seven))
    let stub = try #require(context.address(of: "replacement"))
    var observer = ObjectObserver()
    observer.willRelocate = { relocation in
      switch relocation.symbol {
      case "other": .write(stub &- relocation.place &+ UInt64(bitPattern: relocation.addend))
      case "number" where relocation.section.hasPrefix(".data"): .skip
      default: .proceed
      }
    }
    var options = ObjectOptions()
    options.observer = observer
    let objects = try context.link([.made(Self.source)], options: options)
    #expect(try objects.call("run", 1) == 7 + 5 + 3)
    let pointer: Symbol<UnsafePointer<UInt>> = try objects.symbol("pointer")
    #expect(pointer.value.pointee == 0)
  }
}

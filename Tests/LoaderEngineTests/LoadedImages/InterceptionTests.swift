// A caller sees every relocation, binding and first call of an image, and decides otherwise where it likes.
import LoaderEngine
import Synchronization
import TestFixtures
import Testing

@Suite("Interception")
struct InterceptionTests {
  final class Events: Sendable {
    let before = Mutex<[RelocationEvent]>([])
    let after = Mutex<[RelocationEvent]>([])
    let bindings = Mutex<[BindingEvent]>([])
  }

  static let provider = SharedObject(
    "observedprovider",
    "long seen(void) { return 1; } long replaced(void) { return 2; } long datum = 3;")
  static func user(_ flag: String) -> SharedObject {
    SharedObject(
      "observed", flags: [flag], needs: [provider],
      """
      long seen(void), replaced(void); extern long datum;
      extern long absent __attribute__((weak));
      static long own = 4;
      long *pointer = &own;
      long *weak = &absent;
      long *word = &own;
      long run(void) { return 1000 * seen() + 100 * replaced() + 10 * datum + *pointer; }
      """)
  }

  static func address(_ function: @convention(c) () -> Int) -> Address {
    Address(UInt64(UInt(bitPattern: unsafeBitCast(function, to: Int.self))))
  }

  @Test("Every relocation is seen before and after, with what was written")
  func relocations() throws {
    let events = Events()
    var options = ImageOptions()
    var observer = LinkObserver()
    observer.willRelocate = { event in
      events.before.withLock { $0.append(event) }
      return .proceed
    }
    observer.didRelocate = { event in events.after.withLock { $0.append(event) } }
    options.observer = observer
    let image = try Self.user("-Wl,-z,now").load(.memory, options: options)
    #expect(try image.call("run") == 1234)
    let (before, after) = (events.before.withLock { $0 }, events.after.withLock { $0 })
    #expect(before.count == image.relocationCount)
    #expect(before.map(\.place) == after.map(\.place))
    let own = after.filter { $0.image == image.name }
    #expect(Set(own.map(\.symbol)).isSuperset(of: ["seen", "replaced", "datum", "absent"]))
    #expect(Set(own.map(\.typeName)).isSuperset(of: ["R_X86_64_RELATIVE", "R_X86_64_64"]))
    for event in own {
      let word = try #require(event.place.pointer).load(as: UInt64.self)
      #expect(word == event.value, "\(event.typeName) \(event.symbol)")
      #expect(event.place.value - image.range.start.value == event.offset)
    }
    let datum = try #require(own.first { $0.symbol == "datum" })
    #expect(Address(datum.value) == image.address(of: "datum"))
  }

  @Test("A relocation may be skipped, or another value written")
  func decisions() throws {
    var options = ImageOptions()
    var observer = LinkObserver()
    let chosen = Mutex(0)
    observer.willRelocate = { event in
      guard event.symbol == "absent" else { return .proceed }
      chosen.withLock { $0 += 1 }
      return .write(0x1234_5678_9ABC)
    }
    options.observer = observer
    let image = try Self.user("-Wl,-z,now").load(.memory, options: options)
    #expect(chosen.withLock { $0 } == 1)
    #expect(try image.word("weak") == 0x1234_5678_9ABC)
    // The word keeps what the file has there.
    let place = try #require(image.address(of: "word")).value - image.range.start.value
    observer.willRelocate = { $0.offset == place ? .skip : .proceed }
    options.observer = observer
    let other = try Self.user("-Wl,-z,now").load(.memory, options: options)
    #expect(try other.word("word") < Int(other.range.size))
    #expect(try other.call("run") == 1234)
  }

  @Test(
    "Every binding is seen, found or not, and its address may be replaced",
    arguments: ["now", "lazy"])
  func bindings(mode: String) throws {
    let events = Events()
    var options = mode == "lazy" ? LazyBindingTests.lazy : ImageOptions()
    var observer = LinkObserver()
    observer.binding = { event in
      events.bindings.withLock { $0.append(event) }
      return event.symbol == "replaced" ? Self.address { 7 } : nil
    }
    options.observer = observer
    let image = try Self.user("-Wl,-z,\(mode)").load(.memory, options: options)
    let early = events.bindings.withLock { $0 }.filter { $0.image == image.name }
    #expect(early.contains { $0.symbol == "seen" } == (mode == "now"))
    #expect(try image.call("run") == 1734)
    let all = events.bindings.withLock { $0 }.filter { $0.image == image.name }
    for (symbol, provider) in [
      ("seen", "libobservedprovider.so"), ("datum", "libobservedprovider.so"), ("absent", ""),
    ] {
      let event = try #require(all.first { $0.symbol == symbol })
      #expect(event.provider == provider, "\(symbol)")
      #expect((event.address.value == 0) == (symbol == "absent"))
    }
    #expect(all.first { $0.symbol == "seen" }?.isLazy == (mode == "lazy"))
  }

  @Test("A first call may be sent elsewhere, and only that call's function")
  func lazyCalls() throws {
    var options = LazyBindingTests.lazy
    var observer = LinkObserver()
    observer.lazyCall = { event in event.symbol == "seen" ? Self.address { 9 } : nil }
    options.observer = observer
    let image = try Self.user("-Wl,-z,lazy").load(.memory, options: options)
    #expect(try image.call("run") == 9234)
    #expect(try image.call("run") == 9234)
  }

  @Test("What nobody defines may be supplied")
  func supplied() throws {
    var options = ImageOptions()
    var observer = LinkObserver()
    observer.binding = { event in
      event.symbol == "defined_nowhere" && event.address.value == 0 ? Self.address { 21 } : nil
    }
    options.observer = observer
    let image = try SharedObject(
      "needsobserver", flags: ["-Wl,-z,now"],
      "long defined_nowhere(void); long run(void) { return defined_nowhere() * 2; }"
    ).load(.memory, options: options)
    #expect(try image.call("run") == 42)
  }
}

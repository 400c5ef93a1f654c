// Destructors of thread_local objects keep the image whose code they are.
import CLoaderSupport
import Glibc
import LoaderEngine
import Testing

@Suite("Thread-exit destructors")
struct ThreadExitLedgerTests {
  final class Record: @unchecked Sendable {
    var order: [String] = []
    var releasedBy: Int32 = 0
    var module: ThreadLocalModule?
  }

  /// What keeps an image.
  final class Owner {
    let record: Record
    init(_ record: Record) { self.record = record }
    deinit {
      record.order.append("released")
      record.releasedBy = hl_gettid()
    }
  }

  final class Object {
    let record: Record
    let name: String
    var whenDestroyed: () -> Void = {}
    init(_ record: Record, _ name: String) { (self.record, self.name) = (record, name) }
  }

  typealias Register =
    @convention(c) (
      @convention(c) (UnsafeMutableRawPointer?) -> Void, UnsafeMutableRawPointer?,
      UnsafeMutableRawPointer?
    ) -> Int32

  static func register(_ object: Object, _ handle: UInt) {
    let function = unsafeBitCast(UInt(ThreadExitLedger.register.value), to: Register.self)
    _ = function(
      { context in
        guard let context else { return }
        let object = Unmanaged<Object>.fromOpaque(context).takeRetainedValue()
        object.record.order.append(object.name)
        object.whenDestroyed()
      }, Unmanaged.passRetained(object).toOpaque(), UnsafeMutableRawPointer(bitPattern: handle))
  }

  /// Addresses that nothing is at, different for each test.
  static func range(_ number: UInt64) -> AddressRange {
    AddressRange(start: Address(0x1000_0000_0000 + number << 20), size: 1 << 16)
  }

  @Test("They run last first when their thread ends, and are counted until then")
  func counted() throws {
    let range = Self.range(1)
    let ledger = try ThreadExitLedger(range)
    let record = Record()
    let worker = Worker()
    worker.run {
      Self.register(Object(record, "a"), UInt(range.start.value))
      Self.register(Object(record, "b"), UInt(range.end.value - 1))
      Self.register(Object(record, "elsewhere"), 0)
      Self.register(Object(record, "behind"), UInt(range.end.value))
    }
    #expect(ledger.pending == 2)
    worker.end()
    #expect(ledger.pending == 0)
    #expect(record.order == ["behind", "elsewhere", "b", "a"])
  }

  @Test("An image that is done goes at once")
  func idle() throws {
    let ledger = try ThreadExitLedger(Self.range(2))
    let record = Record()
    #expect(ledger.handOver(Owner(record)))
    #expect(record.order == ["released"])
    #expect(record.releasedBy == hl_gettid())
  }

  @Test("An image with pending destructors goes after the last one, on its thread")
  func handedOver() throws {
    let range = Self.range(3)
    var ledger: ThreadExitLedger? = try ThreadExitLedger(range)
    let record = Record()
    record.module = try ThreadLocalModule(
      name: "m", size: 8, alignment: 8, image: AddressRange(start: Address(0), size: 0))
    let first = Worker()
    let second = Worker()
    first.run { Self.register(Object(record, "first"), UInt(range.start.value)) }
    second.run {
      let object = Object(record, "second")
      // A destructor that makes another object, and still has its thread-local variables.
      let address = record.module?.address(offset: 0)
      object.whenDestroyed = {
        #expect(record.module?.address(offset: 0) == address)
        Self.register(Object(record, "third"), UInt(range.start.value))
      }
      Self.register(object, UInt(range.start.value))
    }
    let task = second.task
    #expect(ledger?.handOver(Owner(record)) == false)
    #expect(ledger?.pending == 0, "no longer asked of a ledger that was handed over")
    ledger = nil
    first.end()
    #expect(record.order == ["first"])
    second.end()
    #expect(record.order == ["first", "second", "third", "released"])
    #expect(record.releasedBy == task)
  }

  @Test("The addresses of an image that went may be another's")
  func reused() throws {
    let range = Self.range(4)
    let record = Record()
    for round in 0..<3 {
      let ledger = try ThreadExitLedger(range)
      let worker = Worker()
      worker.run { Self.register(Object(record, "\(round)"), UInt(range.start.value)) }
      #expect(ledger.pending == 1)
      worker.end()
      #expect(ledger.handOver(Owner(record)))
    }
    #expect(record.order == ["0", "released", "1", "released", "2", "released"])
  }
}

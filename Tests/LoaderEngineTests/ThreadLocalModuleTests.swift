// Blocks of dynamic thread-local modules: first bytes, alignment, threads that come and go, ids that
// stay dead.
import Glibc
import LoaderEngine
import Synchronization
import Testing

@Suite("Dynamic thread-local modules")
struct ThreadLocalModuleTests {
  /// First bytes of a module that stay where they are.
  final class Image: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer
    init(_ count: Int, _ byte: (Int) -> UInt8) {
      bytes = .allocate(byteCount: max(count, 1), alignment: 16)
      for index in 0..<count { bytes[index] = byte(index) }
      self.count = count
    }
    let count: Int
    deinit { bytes.deallocate() }
    var range: AddressRange {
      AddressRange(
        start: bytes.baseAddress.map { Address($0) } ?? Address(0), size: UInt64(count))
    }
  }

  static func bytes(_ address: Address, _ count: Int) -> [UInt8] {
    address.pointer.map { [UInt8](UnsafeRawBufferPointer(start: $0, count: count)) } ?? []
  }

  static func store(_ value: UInt8, _ address: Address) {
    UnsafeMutableRawPointer(bitPattern: UInt(address.value))?
      .storeBytes(of: value, as: UInt8.self)
  }

  @Test(
    "A block begins with the image, ends with zeros and lies where its segment says",
    arguments: [
      (0, 100, 1, 0), (100, 100, 16, 0), (7, 4096, 4096, 0), (64, 65, 64, 8), (0, 0, 1, 0),
      (1, 5000, 2048, 40), (16, 16, 1 << 20, 0), (3, 4, 2, 1),
    ])
  func contents(initial: Int, size: Int, alignment: Int, skew: Int) throws {
    let image = Image(initial) { UInt8(truncatingIfNeeded: $0 * 7 + 1) }
    let module = try ThreadLocalModule(
      name: "m", size: UInt64(size), alignment: UInt64(alignment), skew: UInt64(skew),
      image: image.range)
    let expected =
      [UInt8](image.bytes.prefix(initial)) + [UInt8](repeating: 0, count: size - initial)
    var addresses: Set<Address> = []
    for _ in 0..<2 {  // a second thread gets another block of the same shape
      let worker = Worker()
      worker.run {
        // Memory that malloc gives again is not zero by itself.
        if let dirty = malloc(size + skew + 1) {
          memset(dirty, 0xEE, size + skew + 1)
          free(dirty)
        }
        let address = module.address(offset: 0)
        #expect(address.value % UInt64(alignment) == UInt64(skew))
        #expect(Self.bytes(address, size) == expected)
        #expect(module.address(offset: 3) == address &+ 3)
        if size > 0 { Self.store(0xAA, address) }
        #expect(module.address(offset: 0) == address)
        addresses.insert(address)
      }
      defer { worker.end() }
      worker.run { if size > 0 { #expect(Self.bytes(module.address(offset: 0), 1) == [0xAA]) } }
    }
  }

  @Test(
    "Facts that do not hold are refused",
    arguments: [
      (8, 3, 0, 0), (8, 16, 16, 0), (8, 8, 0, 9), (8, 1 << 21, 0, 0), (1 << 40, 8, 0, 0),
      (UInt64.max, 8, 0, 0), (8, 1 << 63, 0, 0),
    ] as [(UInt64, UInt64, UInt64, UInt64)])
  func refusals(size: UInt64, alignment: UInt64, skew: UInt64, initial: UInt64) {
    #expect(throws: LinkError.self) {
      try ThreadLocalModule(
        name: "bad.so", size: size, alignment: alignment, skew: skew,
        image: AddressRange(start: Address(4096), size: initial))
    }
  }

  @Test("Threads older and newer than a module have blocks of their own")
  func olderAndNewer() throws {
    let older = Worker()
    let image = Image(4) { UInt8($0 + 1) }
    let module = try ThreadLocalModule(name: "m", size: 8, alignment: 8, image: image.range)
    let newer = Worker()
    for (value, worker) in [(UInt8(10), older), (20, newer)] {
      worker.run {
        #expect(Self.bytes(module.address(offset: 0), 8) == [1, 2, 3, 4, 0, 0, 0, 0])
        Self.store(value, module.address(offset: 1))
      }
    }
    older.run { #expect(Self.bytes(module.address(offset: 0), 2) == [1, 10]) }
    newer.run { #expect(Self.bytes(module.address(offset: 0), 2) == [1, 20]) }
    #expect(module.blockCount == 2)
    older.end()
    #expect(module.blockCount == 1)
    newer.end()
    #expect(module.blockCount == 0)
  }

  @Test("64 modules and 16 threads race for first access, while others come and go")
  func race() throws {
    let images = (0..<64).map { number in Image(16) { UInt8(truncatingIfNeeded: $0 + number) } }
    let modules = try images.enumerated().map { number, image in
      try ThreadLocalModule(
        name: "m\(number)", size: UInt64(16 + number * 8), alignment: 1 << UInt64(number % 8),
        image: image.range)
    }
    let wrong = Atomic(0)
    let arrived = Atomic(0)
    let workers = (0..<16).map { _ in Worker() }
    let threads = workers.enumerated().map { number, worker in
      Worker.alongside(worker) {
        arrived.add(1, ordering: .relaxed)
        while arrived.load(ordering: .relaxed) < 16 {}
        for round in 0..<20 {
          for step in 0..<64 {
            let index = (step * (2 * number + 1)) % 64
            let address = modules[index].address(offset: 0)
            let first = Self.bytes(address, 2)
            let expected = round == 0 ? UInt8(index) : UInt8(number + 100)
            if first != [expected, UInt8(index + 1)] { wrong.add(1, ordering: .relaxed) }
            Self.store(UInt8(number + 100), address)
          }
        }
      }
    }
    for _ in 0..<200 {
      let image = images[0]
      let brief = try ThreadLocalModule(name: "brief", size: 32, alignment: 8, image: image.range)
      if Self.bytes(brief.address(offset: 0), 2) != [0, 1] { wrong.add(1, ordering: .relaxed) }
    }
    for thread in threads { thread.wait() }
    #expect(wrong.load(ordering: .relaxed) == 0)
    #expect(modules.allSatisfy { $0.blockCount == 16 })
    for worker in workers { worker.end() }
    #expect(modules.allSatisfy { $0.blockCount == 0 })
  }

  @Test("An id is never used twice and never one of the process's own loader")
  func ids() throws {
    var seen: Set<UInt64> = []
    for _ in 0..<1000 {
      let module = try ThreadLocalModule(
        name: "m", size: 1, alignment: 1, image: AddressRange(start: Address(0), size: 0))
      #expect(module.id >> 63 == 1)
      #expect(seen.insert(module.id).inserted)
    }
  }

  @Test("Use after the drop ends the process and names the module", arguments: [false, true])
  func stale(isReplaced: Bool) async {
    let result = await #expect(
      processExitsWith: .signal(SIGABRT), observing: [\.standardErrorContent]
    ) { [isReplaced = isReplaced as Bool] in
      let none = AddressRange(start: Address(0), size: 0)
      var module: ThreadLocalModule? = try ThreadLocalModule(
        name: "libgone.so", size: 8, alignment: 8, image: none)
      var index = (module?.id ?? 0, UInt64(0))
      _ = module?.address(offset: 0)
      module = nil
      let other =
        isReplaced ? try ThreadLocalModule(name: "new.so", size: 8, alignment: 8, image: none) : nil
      _ = other?.address(offset: 0)
      typealias Accessor = @convention(c) (UnsafeMutableRawPointer) -> UnsafeMutableRawPointer?
      let accessor = unsafeBitCast(
        UInt(ThreadLocalModule.accessor.value), to: Accessor.self)
      _ = withUnsafeMutableBytes(of: &index) { $0.baseAddress.map(accessor) }
      withExtendedLifetime(other) {}
    }
    let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(said.contains("thread-local variable of an image that was unloaded"), "\(said)")
    #expect(isReplaced ? said.contains("module 0x8") : said.contains("libgone.so"), "\(said)")
  }

  @Test("Modules of the process's own loader are passed on, and errno stays")
  func host() throws {
    let space = try LinkSpace()
    let id = space.names.intern("errno")
    let variable = try #require(space.host.findThreadLocal(id, space.names[id]))
    var index = (variable.module, variable.offset)
    typealias Accessor = @convention(c) (UnsafeMutableRawPointer) -> UnsafeMutableRawPointer?
    let accessor = unsafeBitCast(UInt(ThreadLocalModule.accessor.value), to: Accessor.self)
    let address = withUnsafeMutableBytes(of: &index) { $0.baseAddress.flatMap(accessor) }
    #expect(address == UnsafeMutableRawPointer(__errno_location()))
    let module = try ThreadLocalModule(
      name: "m", size: 1 << 20, alignment: 8, image: AddressRange(start: Address(0), size: 0))
    errno = 4711
    _ = module.address(offset: 0)
    #expect(errno == 4711)
  }

  @Test("Destructors of other keys still find their thread's variables, in every round")
  func laterKeys() throws {
    // Keys before and after ours; each sets itself again until the last round.
    final class State: @unchecked Sendable {
      var seen: [UInt8] = []
      var keys: [pthread_key_t] = []
      var module: ThreadLocalModule?
    }
    let state = State()
    Self.shared = state
    defer { Self.shared = nil }
    let module = try ThreadLocalModule(
      name: "m", size: 8, alignment: 8, image: AddressRange(start: Address(0), size: 0))
    state.module = module
    var key = pthread_key_t()
    pthread_key_create(&key) { context in
      guard let state = Self.shared as? State, let module = state.module else { return }
      state.seen += Self.bytes(module.address(offset: 0), 1)
      pthread_setspecific(state.keys[0], context)
    }
    defer { pthread_key_delete(key) }
    state.keys = [key]
    let worker = Worker()
    worker.run {
      Self.store(42, module.address(offset: 0))
      pthread_setspecific(key, UnsafeMutableRawPointer(bitPattern: 8))
    }
    worker.end()
    // In the last round ours, which is older, may come first: then the variable is new.
    #expect(state.seen.count == 4)
    #expect(state.seen.prefix(3) == [42, 42, 42])
    // A joined thread may still be in the kernel's list for a moment.
    for _ in 0..<1000 where module.blockCount != 0 { usleep(1000) }
    #expect(module.blockCount == 0, "a block made after the last round is found by the next")
    state.module = nil
  }
  nonisolated(unsafe) static var shared: AnyObject?

  @Test("Of a large block only what is used takes memory")
  func largeBlock() async {
    await #expect(processExitsWith: .success) {
      let none = AddressRange(start: Address(0), size: 0)
      let module = try ThreadLocalModule(name: "large", size: 1 << 30, alignment: 16, image: none)
      func faults() -> Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_minflt
      }
      let before = faults()
      #expect(ThreadLocalModuleTests.bytes(module.address(offset: 0), 2) == [0, 0])
      #expect(ThreadLocalModuleTests.bytes(module.address(offset: (1 << 30) - 2), 2) == [0, 0])
      #expect(faults() - before < 1000)
    }
  }

  @Test("A child of fork keeps its blocks, makes new ones and drops modules")
  func fork() async {
    await #expect(processExitsWith: .success) {
      let none = AddressRange(start: Address(0), size: 0)
      let first = try ThreadLocalModule(name: "a", size: 8, alignment: 8, image: none)
      var second: ThreadLocalModule? = try ThreadLocalModule(
        name: "b", size: 8, alignment: 8, image: none)
      ThreadLocalModuleTests.store(1, first.address(offset: 0))
      let busy = Worker()
      busy.run { _ = second?.address(offset: 0) }
      guard let fork = dlsym(nil, "fork") else { exit(1) }
      let child = unsafeBitCast(fork, to: (@convention(c) () -> pid_t).self)()
      if child == 0 {
        guard ThreadLocalModuleTests.bytes(first.address(offset: 0), 1) == [1],
          let address = second?.address(offset: 0),
          ThreadLocalModuleTests.bytes(address, 1) == [0]
        else { _exit(1) }
        second = nil
        let worker = Worker()
        worker.run { ThreadLocalModuleTests.store(2, first.address(offset: 0)) }
        worker.end()
        _exit(ThreadLocalModuleTests.bytes(first.address(offset: 0), 1) == [1] ? 0 : 2)
      }
      var status: Int32 = 0
      waitpid(child, &status, 0)
      busy.end()
      exit(status == 0 ? 0 : 1)
    }
  }
}

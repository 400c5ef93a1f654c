// First bytes of late thread-local variables in the static block, in every thread that runs.
import CLoaderSupport
import Foundation
import Glibc
import LoaderEngine
import Synchronization
import TestFixtures
import Testing

@Suite("The static thread-local block")
struct StaticTLSTests {
  /// Bytes at an offset from the calling thread's pointer (glibc: it is the pthread_t).
  static func here(_ offset: UInt64) -> UnsafeMutableRawPointer? {
    UnsafeMutableRawPointer(bitPattern: UInt(truncatingIfNeeded: UInt64(pthread_self()) &+ offset))
  }

  static func read(_ offset: UInt64, _ count: Int) -> [UInt8] {
    [UInt8](UnsafeRawBufferPointer(start: here(offset), count: count))
  }

  static func initialise(
    _ storage: StaticTLS, _ offset: UInt64, size: Int, _ bytes: [UInt8]
  ) throws {
    try bytes.withUnsafeBytes {
      try storage.initialise([StaticTLS.Piece(offset: offset, size: UInt64(size), bytes: $0)])
    }
  }

  @Test(
    "Every thread has the first bytes: the caller, older, newer, one that blocks all signals",
    arguments: [false, true])
  func allThreads(isBusy: Bool) throws {
    let older = Worker()
    let deaf = Worker(blocksSignals: true)
    let busy = Worker(blocksSignals: true)
    defer { for worker in [older, deaf, busy] { worker.end() } }
    // A thread that runs all the time and takes no signal has no stack pointer to be read.
    let stop = Atomic(!isBusy)
    let running = Worker.alongside(busy) { while !stop.load(ordering: .relaxed) {} }
    let storage = StaticTLS()
    let offset = try storage.allocate(100, alignment: 32)
    let bytes = (1...60).map { UInt8($0) }
    try Self.initialise(storage, offset, size: 100, bytes)
    let expected = bytes + [UInt8](repeating: 0, count: 40)
    #expect(Self.read(offset, 100) == expected)
    stop.store(true, ordering: .relaxed)
    running.wait()
    let newer = Worker()
    defer { newer.end() }
    for worker in [older, deaf, busy, newer] {
      worker.run { #expect(Self.read(offset, 100) == expected) }
    }
  }

  @Test("Space that was another's is zero again in every thread", arguments: [0, 8])
  func reuse(initial: Int) throws {
    let workers = [Worker(), Worker(blocksSignals: true)]
    defer { for worker in workers { worker.end() } }
    var first = StaticTLS()
    for _ in 0..<20 {
      let offset = try first.allocate(512, alignment: 64)
      try Self.initialise(first, offset, size: 512, [UInt8](repeating: 0xEE, count: 512))
      for worker in workers {
        worker.run { #expect(Self.read(offset, 512) == [UInt8](repeating: 0xEE, count: 512)) }
      }
      first = StaticTLS()
      let second = StaticTLS()
      let again = try second.allocate(512, alignment: 64)
      let bytes = [UInt8](repeating: 7, count: initial)
      try Self.initialise(second, again, size: 512, bytes)
      let expected = bytes + [UInt8](repeating: 0, count: 512 - initial)
      let newer = Worker()
      for worker in workers + [newer] {
        worker.run { #expect(Self.read(again, 512) == expected) }
      }
      newer.end()
      #expect(Self.read(again, 512) == expected)
      if again == offset { return }  // else another test took the place
    }
    Issue.record("the same place was never handed out again")
  }

  @Test("Threads that take and give back at once get places of their own")
  func manyThreads() {
    let storage = StaticTLS()
    let owners = Mutex([Int](repeating: 0, count: Int(HL_STATIC_TLS_BYTES)))
    let clashes = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 8) { thread in
      for round in 0..<2000 {
        let size = UInt64(1 + (round + thread) % 64)
        guard let offset = try? storage.allocate(size, alignment: 8) else { continue }
        let place = Int(offset &- storage.base)
        func mark(_ value: Int, over old: Int) {
          owners.withLock { owners in
            for byte in place..<(place + Int(size)) {
              if owners[byte] != old { clashes.add(1, ordering: .relaxed) }
              owners[byte] = value
            }
          }
        }
        mark(thread + 1, over: 0)
        mark(0, over: thread + 1)
        storage.release(offset, size)
      }
    }
    #expect(clashes.load(ordering: .relaxed) == 0)
  }

  @Test("Pieces of one call are all written, and variables in use beside them stay")
  func pieces() throws {
    let worker = Worker()
    defer { worker.end() }
    let storage = StaticTLS()
    let used = try storage.allocate(8, alignment: 8)
    try Self.initialise(storage, used, size: 8, [1])
    worker.run { Self.here(used)?.storeBytes(of: 99, as: UInt8.self) }
    let a = try storage.allocate(8, alignment: 8)
    let b = try storage.allocate(8, alignment: 8)
    try [UInt8]([5, 6]).withUnsafeBytes { bytes in
      try storage.initialise([
        StaticTLS.Piece(offset: a, size: 8, bytes: bytes),
        StaticTLS.Piece(offset: b, size: 8, bytes: UnsafeRawBufferPointer(rebasing: bytes[1...])),
      ])
    }
    worker.run {
      #expect(Self.read(used, 1) == [99])
      #expect(Self.read(a, 8) == [5, 6, 0, 0, 0, 0, 0, 0])
      #expect(Self.read(b, 8) == [6, 0, 0, 0, 0, 0, 0, 0])
    }
  }

  @Test("Threads that start and end all the time have the bytes or none")
  func churn() throws {
    let storage = StaticTLS()
    for round in 1...30 {
      let offset = try storage.allocate(16, alignment: 16)
      let brief = (0..<8).map { _ in Worker(blocksSignals: round % 2 == 0) }
      let ending = brief.map { worker in Worker.alongside(worker) {} }
      try Self.initialise(storage, offset, size: 16, [UInt8(round)])
      for run in ending { run.wait() }
      for worker in brief {
        worker.run { #expect(Self.read(offset, 2) == [UInt8(round), 0]) }
        worker.end()
      }
    }
  }

  @Test("A thread that cannot be reached is named")
  func unreachable() async {
    await #expect(processExitsWith: .success) {
      // Without glibc: no thread pointer of its own, and deaf.
      let program = try Published(Hermit.source, .gcc, flags: ["-fPIC"])
      let start = unsafeBitCast(
        UInt(try program.address("hermit").value), to: (@convention(c) () -> Int32).self)
      let task = start()
      let storage = StaticTLS()
      let offset = try storage.allocate(16, alignment: 16)
      do {
        try StaticTLSTests.initialise(storage, offset, size: 16, [1])
        exit(2)
      } catch let error as LinkError {
        exit(error.reason == .unreachableThread(id: task, name: "hermit") ? 0 : 3)
      }
    }
  }

  @Test("Another thread's pointer is found in both ways", arguments: [false, true])
  func threadPointers(blocksSignals: Bool) {
    let worker = Worker(blocksSignals: blocksSignals)
    defer { worker.end() }
    nonisolated(unsafe) var pointer: UInt = 0
    worker.run { pointer = UInt(pthread_self()) }
    #expect(hl_thread_pointer(worker.task) == pointer)
    var byStack: UInt = 0
    for _ in 0..<1000 where byStack == 0 {
      byStack = hl_thread_pointer_by_stack(worker.task)
      if byStack == 0 { usleep(1000) }
    }
    #expect(byStack == pointer)
    #expect(hl_thread_pointer(getpid()) != 0, "the main thread, whose block is not on its stack")
    #expect(hl_thread_pointer(1 << 22 + 1) == 0)
  }
}

@Suite("Thread-local variables of the process's libraries")
struct HostThreadLocalTests {
  @Test("By module and offset they are what they are by name")
  func byModule() throws {
    let space = try LinkSpace()
    let id = space.names.intern("errno")
    let variable = try #require(space.host.findThreadLocal(id, space.names[id]))
    let same = try #require(
      space.host.threadLocal(module: variable.module, offset: variable.offset))
    #expect(same.threadOffset == variable.threadOffset)
    #expect(same.threadOffset != nil)
    #expect(
      StaticTLSTests.here(same.threadOffset ?? 0) == UnsafeMutableRawPointer(__errno_location()))
    #expect(space.host.threadLocal(module: variable.module, offset: 1 << 40) == nil)
    #expect(space.host.threadLocal(module: 100_000, offset: 0) == nil)
    #expect(space.host.threadLocal(module: 0, offset: 0) == nil)
  }

  @Test("A block outside the static part has no offset, also when its module id was another's")
  func dynamicBlock() throws {
    // The same layout each time, so that only the unloading tells a module from the one before.
    for (round, isStatic) in [false, true, false].enumerated() {
      let place = Compiled.folder.appending(path: "tls\(round).\(getpid()).so").path
      let object = Compiled.folder.appending(path: "tls\(round).\(getpid()).o").path
      defer {
        unlink(place)
        unlink(object)
      }
      let source = """
        __thread char block[16] = {1};
        extern __thread char alias[16]
          __attribute__((alias("block"), tls_model("\(isStatic ? "initial-exec" : "global-dynamic")")));
        void *address(void) { return alias; }
        """
      let bytes = try Compiled.object(.gcc, source, flags: ["-fPIC"])
      guard let file = fopen(object, "w") else { return }
      fwrite(bytes, 1, bytes.count, file)
      fclose(file)
      try Compiled.run(["gcc", "-shared", "-o", place, object])
      let handle = try #require(dlopen(place, RTLD_NOW))
      defer { dlclose(handle) }
      // The loader knows a block once it was asked for it, which dlsym does.
      let address = UnsafeRawPointer(try #require(dlsym(handle, "block"))) + 4
      for _ in 0..<2 {
        var variable = hl_thread_variable()
        #expect(hl_host_tls(address, &variable) == 0)
        #expect(variable.offset == 4)
        #expect((variable.is_static != 0) == isStatic)
        #expect(variable.thread_offset == Int64(Int(bitPattern: address)) - Int64(pthread_self()))
      }
    }
  }
}

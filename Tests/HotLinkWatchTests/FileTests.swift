// What happens to single files: the ways compilers, linkers and people write them.
import Glibc
import HotLink
import HotLinkWatch
import SystemPackage
import Testing

extension Watching {
  @Suite struct Files {
    let shop: Workshop

    init() throws { shop = try Workshop() }

    @Test func `The first batch lists every file, sorted`() throws {
      try shop.run("cd build && mkdir -p a/b .h && touch z.o a/y.o a/b/x.a a.o .h/h.o n.d n.o.t o")
      let watcher = try shop.watch()
      #expect(watcher.first.isComplete)
      #expect(watcher.first.removed.isEmpty)
      #expect(watcher.first.written == [".h/h.o", "a.o", "a/b/x.a", "a/y.o", "z.o"].map(shop.file))
    }

    @Test(arguments: [
      "gcc -c f.c -o build/x.o",
      "gcc -S f.c -o f.s && as f.s -o build/x.o",
      "ld -r ready.o -o build/x.o",
      "objcopy ready.o build/x.o",
      "clang -c f.c -o build/x.o",
      // Unchanged code would not do: swiftc leaves an equal output as it is.
      "echo \"public let v = $(date +%s%N)\" > f.swift && swiftc -c f.swift -o build/x.o",
      "cp ready.o build/x.o",
      "cat ready.o > build/x.o",
      "cp ready.o t && mv t build/x.o",
      "cp ready.o build/t && mv build/t build/x.o",
      "dd if=ready.o of=build/x.o bs=64 2>&1",
      "install ready.o build/x.o",
      "ln -sfn ../ready.o build/x.o",
      "rm -f build/x.o; ln ready.o build/x.o",
    ])
    func `A tool's output is reported once, new or again`(command: String) throws {
      let watcher = try shop.watch()
      for _ in 0..<2 {
        try shop.run(command)
        let batch = try watcher.next().batch
        #expect(batch.written == [shop.file("x.o")])
        #expect(batch.removed.isEmpty && !batch.isComplete && batch.noticedAt > 0)
        #expect(watcher.poll(within: .milliseconds(50)) == nil)
        try shop.run("sleep 0.01; rm -f t f.s")
      }
    }

    @Test(arguments: [
      "ar rcs build/x.a ready.o", "strip build/x.a", "objcopy --add-section .n=f.c build/x.a",
    ])
    func `Tools that rewrite an archive leave it written and nothing else`(command: String) throws {
      try shop.run("ar rcs build/x.a ready.o")
      let watcher = try shop.watch()
      try shop.run(command)
      let sum = watcher.rest()
      #expect(sum.written.last == shop.file("x.a"))
      // strip and objcopy unpack the members into a directory beside the archive, and delete it.
      #expect(Set(sum.written).subtracting(sum.removed) == [shop.file("x.a")])
      #expect(!sum.removed.contains(shop.file("x.a")))
    }

    @Test func `A file written in pieces is reported at its close`() throws {
      try shop.run("cp ready.o build/x.o")
      let watcher = try shop.watch()
      let writer = try Writer(shop.file("x.o"))
      for _ in 0..<10 {
        try writer.write()
        #expect(watcher.poll(within: .milliseconds(60)) == nil)
      }
      let closed = try writer.close()
      let received = try watcher.next()
      #expect(received.batch.written == [shop.file("x.o")])
      #expect(received.batch.noticedAt >= closed && received.batch.noticedAt <= received.moment)
    }

    @Test func `A file being written holds back the others, in order of last writes`() throws {
      let watcher = try shop.watch()
      let writer = try Writer(shop.file("x.o"))
      for name in ["a.o", "b.o", "a.o"] { try Writer(shop.file(name)).close() }
      #expect(watcher.poll(within: .milliseconds(60)) == nil)
      try writer.write()
      #expect(watcher.poll(within: .milliseconds(60)) == nil)
      try writer.close()
      #expect(try watcher.next().batch.written == ["b.o", "a.o", "x.o"].map(shop.file))
    }

    @Test func `A file nobody closes is taken when it has been quiet`() throws {
      let watcher = try shop.watch()
      let begin = monotonic()
      let writer = try Writer(shop.file("x.o"))
      try writer.write()
      let received = try watcher.next()
      #expect(received.batch.written == [shop.file("x.o")])
      #expect((200_000_000..<500_000_000).contains(received.moment - begin))
      try writer.close()
      #expect(try watcher.next().batch.written == [shop.file("x.o")])
    }

    @Test func `An open empty file is an output to come, however quiet`() throws {
      let watcher = try shop.watch()
      let writer = try Writer(shop.file("x.o"))
      try Writer(shop.file("y.o")).close()
      #expect(watcher.poll(within: .milliseconds(500)) == nil)
      try writer.write()
      try writer.close()
      #expect(try watcher.next().batch.written == ["y.o", "x.o"].map(shop.file))
    }

    @Test func `A slow assembler holds back what was finished meanwhile`() throws {
      try shop.run("awk 'BEGIN { for (; i < 400000; i++) print \"f\" i \": call f\" i }' > big.s")
      let watcher = try shop.watch()
      try shop.run("as big.s -o build/x.o & sleep 0.1; cp ready.o build/y.o")
      #expect(try watcher.next().batch.written == ["y.o", "x.o"].map(shop.file))
    }

    @Test func `A writer without end holds the others back for five seconds`() throws {
      let watcher = try shop.watch()
      let writer = try Writer(shop.file("endless.o"))
      try shop.run("cp ready.o build/x.o")
      let begin = monotonic()
      var received: Watcher.Received?
      while received == nil, monotonic() - begin < 8_000_000_000 {
        try writer.write()
        received = watcher.poll(within: .milliseconds(50))
      }
      let batch = try #require(received)
      #expect(batch.batch.written == [shop.file("x.o")])
      #expect((4_500_000_000..<6_000_000_000).contains(batch.moment - begin))
      // Once it has used up its time it holds back nothing more.
      try writer.write()
      try shop.run("cp ready.o build/y.o")
      #expect(try watcher.next(within: .seconds(1)).batch.written == [shop.file("y.o")])
      try writer.write()
      try writer.close()
      #expect(try watcher.next().batch.written == [shop.file("endless.o")])
    }

    @Test func `A deletion counts if the file stays away`() throws {
      try shop.run("touch build/x.o build/y.o")
      let watcher = try shop.watch()
      try shop.run("rm build/x.o build/y.o; cp ready.o build/y.o")
      let batch = try watcher.next().batch
      #expect(batch.removed == [shop.file("x.o")])
      #expect(batch.written == [shop.file("y.o")])
      #expect(watcher.poll(within: .milliseconds(200)) == nil)
    }

    @Test(arguments: [0, 1, 20] as [UInt32])
    func `Unlink and create anew is a write`(gap: UInt32) throws {
      try shop.run("cp ready.o build/x.o")
      let watcher = try shop.watch()
      for _ in 0..<5 {
        unlink(shop.file("x.o").string)
        pause(gap)
        let writer = try Writer(shop.file("x.o"))
        pause(gap)
        try writer.write()
        try writer.close()
        let batch = try watcher.next().batch
        #expect(batch.written == [shop.file("x.o")])
        #expect(batch.removed.isEmpty)
      }
    }

    @Test func `A temporary file that comes and goes is not reported as removed`() throws {
      let watcher = try shop.watch()
      try shop.run("cp ready.o build/x.tmp.o; mv build/x.tmp.o build/x.o")
      let sum = watcher.rest()
      #expect(sum.written.contains(shop.file("x.o")))
      try shop.run(": > build/t.o; rm build/t.o")
      let second = watcher.rest()
      #expect(Set(second.written).isSubset(of: [shop.file("t.o")]))
      #expect(second.removed == second.written)
    }

    @Test func `A renamed file is removed and written in one batch`() throws {
      try shop.run("cp ready.o build/x.o")
      let watcher = try shop.watch()
      try shop.run("mv build/x.o build/y.o")
      let batch = try watcher.next().batch
      #expect(batch.removed == [shop.file("x.o")])
      #expect(batch.written == [shop.file("y.o")])
    }

    @Test func `Only the listed extensions count, and directories never do`() throws {
      let watcher = try shop.watch(extensions: ["o", ".so"])
      try shop.run(
        """
        cd build; mkdir d.o; touch x.d x.o.tmp .x.o.swp x.o~ o .o xo x.a x.O; mkfifo f.o
        ln -s nowhere l.o; ln -s d.o m.o; touch .x.o lib.so
        """)
      let sum = watcher.rest()
      #expect(sum.written == [".x.o", "lib.so"].map(shop.file))
      #expect(sum.removed.isEmpty)
    }

    @Test func `Names need not be UTF-8`() throws {
      let watcher = try shop.watch()
      let bytes: [CChar] = [0x78, -1, -2, 0x2e, 0x6f, 0]
      let name = try #require(FilePath.Component(platformString: bytes))
      let path = shop.build.appending(name)
      try Writer(path).close()
      #expect(try watcher.next().batch.written == [path])
      path.withPlatformString { _ = unlink($0) }
      #expect(try watcher.next().batch.removed == [path])
    }

    @Test func `With settle, a batch waits until it has been quiet for so long`() throws {
      let watcher = try shop.watch(settle: .milliseconds(150))
      for name in ["a.o", "b.o", "c.o"] {
        try shop.run("cp ready.o build/\(name)")
        pause(50)
      }
      let last = monotonic() - 50_000_000
      let received = try watcher.next()
      #expect(received.batch.written == ["a.o", "b.o", "c.o"].map(shop.file))
      #expect(received.moment - last > 120_000_000)
    }

    @Test func `A single file can be watched, whatever its extension`() throws {
      try shop.run("cp ready.o build/plugin.bin; cp ready.o build/other.o")
      let watcher = try shop.watch([shop.file("plugin.bin")])
      #expect(watcher.first.written == [shop.file("plugin.bin")])
      try shop.run("cp ready.o build/other.o; rm build/plugin.bin; cp ready.o build/plugin.bin")
      #expect(try watcher.next().batch.written == [shop.file("plugin.bin")])
      try shop.run("mv build/plugin.bin build/x")
      #expect(try watcher.next().batch.removed == [shop.file("plugin.bin")])
      try shop.run("mv build/x build/plugin.bin")
      #expect(try watcher.next().batch.written == [shop.file("plugin.bin")])
      try shop.run("rm -r build")
      #expect(try watcher.next().batch.removed == [shop.file("plugin.bin")])
      try shop.run("mkdir build && sleep 0.2 && cp ready.o build/plugin.bin")
      #expect(watcher.rest().written.contains(shop.file("plugin.bin")))
    }

    // How soon is J5.latency's to tell (Benchmarks): a test beside a hundred others cannot.
    @Test func `Each close is delivered by itself, once`() throws {
      let watcher = try shop.watch()
      for _ in 0..<100 {
        let writer = try Writer(shop.file("x.o"))
        try writer.write()
        pause(2)
        _ = try writer.close()
        #expect(try watcher.next().batch.written == [shop.file("x.o")])
      }
      #expect(watcher.rest().written.isEmpty)
    }
  }
}

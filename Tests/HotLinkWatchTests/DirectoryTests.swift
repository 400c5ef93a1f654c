// What happens to directories, roots among them.
import Glibc
import HotLink
import HotLinkWatch
import SystemPackage
import Testing

extension Watching {
  @Suite struct Directories {
    let shop: Workshop

    init() throws { shop = try Workshop() }

    @Test func `Files in new directories are found, at any depth`() throws {
      let watcher = try shop.watch()
      try shop.run("mkdir -p build/a/b/c && cp ready.o build/a/b/c/x.o && cp ready.o build/a/y.o")
      #expect(Set(watcher.rest().written) == [shop.file("a/b/c/x.o"), shop.file("a/y.o")])
      try shop.run("cp ready.o build/a/b/c/x.o")
      #expect(try watcher.next().batch.written == [shop.file("a/b/c/x.o")])
    }

    @Test func `A removed directory's files are removed, and may come back`() throws {
      try shop.run("mkdir -p build/a/b && cp ready.o build/a/b/x.o && cp ready.o build/a/y.o")
      let watcher = try shop.watch()
      for _ in 0..<3 {
        try shop.run("rm -r build/a")
        #expect(try watcher.next().batch.removed == [shop.file("a/b/x.o"), shop.file("a/y.o")])
        try shop.run("mkdir -p build/a/b; sleep 0.02; cp ready.o build/a/b/x.o")
        #expect(try watcher.next().batch.written == [shop.file("a/b/x.o")])
        try shop.run("cp ready.o build/a/y.o")
        #expect(try watcher.next().batch.written == [shop.file("a/y.o")])
      }
    }

    @Test func `A renamed directory's files change their paths`() throws {
      try shop.run("mkdir -p build/a/b && cp ready.o build/a/b/x.o && sleep 0.25")
      let watcher = try shop.watch()
      try shop.run("mv build/a build/n")
      var batch = try watcher.next().batch
      #expect(batch.removed == [shop.file("a/b/x.o")])
      #expect(batch.written == [shop.file("n/b/x.o")])
      try shop.run("cp ready.o build/n/b/x.o")
      #expect(try watcher.next().batch.written == [shop.file("n/b/x.o")])
      try shop.run("mv build/n build/a; mkdir -p build/n/b; sleep 0.05; cp ready.o build/n/b/x.o")
      #expect(Set(watcher.rest().written) == [shop.file("a/b/x.o"), shop.file("n/b/x.o")])
      try shop.run("cp ready.o build/a/b/x.o")
      batch = try watcher.next().batch
      #expect(batch.written == [shop.file("a/b/x.o")] && batch.removed.isEmpty)
    }

    @Test func `Two directories can change places`() throws {
      try shop.run("cd build; mkdir a b; touch a/x.o b/y.o; sleep 0.25")
      let watcher = try shop.watch()
      try shop.run("cd build; mv a t; mv b a; mv t b")
      let sum = watcher.rest()
      #expect(Set(sum.removed).isSuperset(of: [shop.file("a/x.o"), shop.file("b/y.o")]))
      #expect(Set(sum.written).isSuperset(of: [shop.file("a/y.o"), shop.file("b/x.o")]))
      try shop.run("touch build/a/y.o")
      #expect(try watcher.next().batch.written == [shop.file("a/y.o")])
      try shop.run("touch build/b/x.o")
      #expect(try watcher.next().batch.written == [shop.file("b/x.o")])
    }

    @Test func `A directory moved in is watched, moved out it is not`() throws {
      try shop.run("mkdir -p out/b && cp ready.o out/b/x.o && sleep 0.25")
      let watcher = try shop.watch()
      try shop.run("mv out build/in")
      #expect(try watcher.next().batch.written == [shop.file("in/b/x.o")])
      try shop.run("cp ready.o build/in/b/y.o")
      #expect(try watcher.next().batch.written == [shop.file("in/b/y.o")])
      try shop.run("mv build/in out")
      #expect(try watcher.next().batch.removed == [shop.file("in/b/x.o"), shop.file("in/b/y.o")])
      try shop.run("cp ready.o out/b/z.o; mkdir out/c; touch out/c/c.o")
      #expect(watcher.poll(within: .milliseconds(300)) == nil)
    }

    @Test func `Nothing is lost while a tree grows faster than it can be watched`() throws {
      let watcher = try shop.watch()
      try shop.run(
        """
        for i in $(seq 100); do
          mkdir -p build/$i/a/b; cp ready.o build/$i/a/b/x.o; : > build/$i/y.o; rm -rf build/$((i-9))/a
        done
        """)
      var alive: Set<FilePath> = []
      while let batch = watcher.poll(within: .milliseconds(600))?.batch {
        alive.formUnion(batch.written)
        alive.subtract(batch.removed)
      }
      let expected = (1...100).flatMap { index in
        index > 91
          ? [shop.file("\(index)/y.o"), shop.file("\(index)/a/b/x.o")] : [shop.file("\(index)/y.o")]
      }
      #expect(alive == Set(expected))
      try shop.run("for i in $(seq 100); do : > build/$i/y.o; done")
      #expect(Set(watcher.rest().written).count == 100)
    }

    @Test func `Loops of symbolic links end, and links to files are files`() throws {
      try shop.run(
        "cd build; mkdir a; ln -s .. a/up; ln -s . me; ln -s l.o l.o; ln -s ../ready.o r.o")
      let watcher = try shop.watch()
      #expect(watcher.first.written == [shop.file("r.o")])
      try shop.run("ln -s .. build/again; touch build/a/x.o")
      #expect(try watcher.next().batch.written == [shop.file("a/x.o")])
    }

    @Test func `One file has one path, however roots overlap`() throws {
      try shop.run("mkdir build/sub; touch build/sub/x.o build/y.o; ln -s build link")
      let link = shop.path.appending("link")
      let watcher = try shop.watch(
        [shop.build, shop.file("sub"), shop.build, link, shop.file("y.o")])
      #expect(watcher.first.written == [shop.file("sub/x.o"), shop.file("y.o")])
      try shop.run("touch build/sub/x.o")
      #expect(try watcher.next().batch.written == [shop.file("sub/x.o")])
      try shop.run("touch build/y.o")
      #expect(try watcher.next().batch.written == [shop.file("y.o")])
    }

    @Test func `A root may be a link, and relative`() throws {
      try shop.run("touch build/y.o; ln -s build link")
      let link = shop.path.appending("link")
      let watcher = try shop.watch([link])
      #expect(watcher.first.written == [link.appending("y.o")])
      try shop.run("touch build/z.o")
      #expect(try watcher.next().batch.written == [link.appending("z.o")])
      watcher.stop()

      let place = try #require(getcwd(nil, 0))
      defer {
        chdir(place)
        free(place)
      }
      try #require(chdir(shop.build.string) == 0)
      let here = try shop.watch(["."])
      #expect(here.first.written == ["./y.o", "./z.o"])
      try shop.run("touch build/z.o")
      #expect(try here.next().batch.written == ["./z.o"])
    }

    @Test(arguments: ["", "exec 9< build; cd build; ", "mkdir -p build/.cache; cd build/.cache; "])
    func `A root may be deleted and made anew`(before: String) throws {
      try shop.run("mkdir build/sub; touch build/sub/x.o build/y.o")
      let watcher = try shop.watch()
      for _ in 0..<2 {
        try shop.run("\(before) rm -rf \(shop.build)")
        let batch = try watcher.next().batch
        #expect(batch.removed == [shop.file("sub/x.o"), shop.file("y.o")])
        #expect(!batch.isComplete)
        try shop.run("mkdir -p build/sub; touch build/sub/x.o build/y.o")
        let sum = watcher.rest()
        #expect(sum.isComplete)
        #expect(Set(sum.written) == [shop.file("sub/x.o"), shop.file("y.o")])
        try shop.run("touch build/sub/x.o")
        #expect(try watcher.next().batch.written == [shop.file("sub/x.o")])
      }
    }

    @Test func `A root may be replaced, and its parent deleted`() throws {
      let root = shop.path.appending("p/build")
      try shop.run("mkdir -p p/build p/other; touch p/build/x.o p/other/y.o; sleep 0.25")
      let watcher = try shop.watch([root])
      try shop.run("mv p/build p/old; mv p/other p/build")
      let batch = watcher.rest()
      #expect(batch.isComplete)
      #expect(batch.written == [root.appending("y.o")])
      #expect(batch.removed == [root.appending("x.o")])
      try shop.run("touch p/old/x.o")
      #expect(watcher.poll(within: .milliseconds(150)) == nil)
      try shop.run("rm -r p")
      #expect(try watcher.next().batch.removed == [root.appending("y.o")])
      try shop.run("mkdir p; sleep 0.3; mkdir p/build; touch p/build/z.o")
      let back = watcher.rest()
      #expect(back.isComplete && Set(back.written) == [root.appending("z.o")])
      try shop.run("touch p/build/z.o")
      #expect(try watcher.next().batch.written == [root.appending("z.o")])
    }
  }
}

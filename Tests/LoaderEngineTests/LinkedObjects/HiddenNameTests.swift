// Hidden symbols of what is linked into one context piece by piece: each link is as an image, and knows only its own.
// The oracle is what ld and ld.so make of the same objects as shared libraries.
import LoaderEngine
import TestFixtures
import Testing

@Suite("Hidden names stay inside a link")
struct HiddenNameTests {
  private static let hidden = "__attribute__((visibility(\"hidden\")))"

  private static func piece(_ name: String, _ value: Int) throws -> [ObjectSource] {
    [
      try .made(
        """
        \(hidden) long state = \(value); \(hidden) long helper(long n) { return n + state; }
        \(hidden) extern __thread long local;
        """, name: "\(name)_definitions"),
      try .made(
        """
        \(hidden) extern long state; \(hidden) long helper(long);
        long (*\(name)_pointer)(long) = helper;
        long \(name)(long n) { state += 1; return helper(n) + \(name)_pointer(0); }
        """, name: "\(name)_uses"),
    ]
  }

  @Test("Two links define the same hidden names, and each uses its own")
  func twice() throws {
    let context = LinkContext()
    let first = try context.link(Self.piece("first", 10))
    let second = try context.link(Self.piece("second", 500))
    #expect(try first.call("first", 1) == 1 + 11 + 11)
    #expect(try second.call("second", 1) == 1 + 501 + 501)
    #expect(try first.call("first", 1) == 1 + 12 + 12)
    #expect(context.address(of: "helper") == nil && context.address(of: "state") == nil)
  }

  @Test("A later link does not see them")
  func unseen() throws {
    let context = LinkContext()
    try context.link(Self.piece("first", 10))
    let error = #expect(throws: LinkError.self) {
      try context.link("extern long state; long read(void) { return state; }")
    }
    guard case .undefined(let missing) = error?.reason else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(missing.map(\.name) == ["state"])
  }

  @Test("Two definitions inside one link are named as they are written")
  func duplicate() throws {
    let error = #expect(throws: LinkError.self) {
      try LinkContext().link(Self.piece("first", 1) + Self.piece("second", 2))
    }
    guard case .conflicts(let found) = error?.reason else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(found.duplicates.map(\.symbol).sorted() == ["helper", "state"])
  }

  @Test("Inline functions of a hidden class are each link's own")
  func inlined() throws {
    func source(_ name: String, _ value: Int) throws -> ObjectSource {
      try ObjectSource(
        Compiled.object(
          .gxx,
          """
          template <class T> struct Box { T value; __attribute__((noinline)) T get() { static T calls; calls++; return value * \(value) + calls; } };
          extern "C" __attribute__((visibility("default"))) long \(name)(long n) { return Box<long>{n}.get(); }
          """, flags: ["-O1", "-fPIC", "-fvisibility=hidden", "-fvisibility-inlines-hidden"]),
        name: name)
    }
    let context = LinkContext()
    let first = try context.link([try source("first", 10)])
    let second = try context.link([try source("second", 100)])
    #expect(try first.call("first", 3) == 31)
    #expect(try second.call("second", 3) == 301)
    #expect(try first.call("first", 3) == 32)
    first.remove()
    #expect(try second.call("second", 3) == 302)
  }
}

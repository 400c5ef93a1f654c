// F1: objects as compilers seldom make them, and a linker must not notice: 20,000 sections, 1,000,000 relocations. From
// bytes in memory to linked; half of each is measured as well, so that a reader sees that cost follows size.
//
// The peer links the same file to a shared object and does not open it.
internal import HotLink

enum LargeObjects {
  private static let ids = [
    "F1.sections", "F1.sections.half", "F1.relocations", "F1.relocations.half",
  ]

  static func measure(_ runner: Runner, _ fixtures: Fixtures) throws {
    guard ids.contains(where: { runner.wants($0) }) else { return }
    let linker = try SharedLibrary.findLinker()
    let objects = try fixtures.objects([
      ("sections20000", sections(10_000)), ("sections10000", sections(5_000)),
      ("relocations1000000", words(1_000_000)), ("relocations500000", words(500_000)),
    ])
    for (id, object) in zip(ids, objects) {
      runner.measure(
        Figure(
          id: id, peer: "ld.lld -shared", rounds: 7,
          measureOurs: { try link(object) },
          measurePeer: {
            try timed {
              try Subprocess.run(
                linker, ["-shared", "-o", fixtures.folder + "/large.so", object.path])
            }
          }))
    }
  }

  private static func link(_ object: Object) throws -> Double {
    let session = try Session()
    return try timed {
      try session.add(object.bytes, name: object.path)
      _ = try session.start()
    }
  }

  /// A function and a variable of each number, in sections of their own, that refer to their neighbours.
  private static func sections(_ count: Int) -> String {
    var text = ""
    for number in 0..<count {
      text +=
        "int v\(number) __attribute__((section(\".data.v\(number)\"))) = \(number + 1);"
        + " extern int f\((number + 1) % count)(int);"
        + " __attribute__((section(\".text.f\(number)\"))) int f\(number)(int n)"
        + " { return n ? f\((number + 1) % count)(n - 1) + 1 : v\(number); }\n"
    }
    return text
  }

  private static func words(_ count: Int) -> String {
    "int target; asm(\".data\\n.globl words\\nwords:\\n.rept \(count)\\n.quad target\\n.endr\\n.text\");\n"
  }
}

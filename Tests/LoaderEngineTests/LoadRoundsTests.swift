// Loading and unloading leaves nothing behind: not memory, not mappings, not registrations. In a process of its own,
// where nobody else allocates.
import Glibc
import LoaderEngine
import SystemPackage
import TestFixtures
import Testing

@Suite("Loading for ever")
struct LoadRoundsTests {
  private static let library = SharedObject(
    "rounds", .gxx,
    """
    #include <stdexcept>
    struct Guarded { int value = 3; ~Guarded(); };
    static int gone; Guarded::~Guarded() { gone++; }
    Guarded global; thread_local int counter = 7;
    extern "C" int answer() {
      try { throw std::runtime_error("x"); } catch (std::exception &) { return counter + 32 + global.value; }
    }
    """)

  @Test("10,000 loads and unloads leave memory and mappings as they were")
  func rounds() async {
    await #expect(processExitsWith: .success) {
      let path = FilePath(try LoadRoundsTests.library.path())
      func round() throws {
        let image = try LinkContext().loadLibrary(path)
        let answer: Symbol<@convention(c) () -> Int32> = try image.symbol("answer")
        #expect(answer.value() == 42)
      }
      for _ in 0..<500 { try round() }
      let before = Footprint()
      for _ in 0..<10_000 { try round() }
      let after = Footprint()
      #expect(after.mappings <= before.mappings + 2)
      #expect(after.resident <= before.resident + 1024, "KiB")
    }
  }
}

/// Mappings and resident memory of this process.
private struct Footprint {
  var mappings = 0
  /// KiB.
  var resident = 0

  init() {
    func read(_ path: String) -> [UInt8] {
      var bytes: [UInt8] = []
      let descriptor = open(path, O_RDONLY)
      defer { close(descriptor) }
      var chunk = [UInt8](repeating: 0, count: 65536)
      while case let got = Glibc.read(descriptor, &chunk, chunk.count), got > 0 {
        bytes += chunk[..<got]
      }
      return bytes
    }
    mappings = read("/proc/self/maps").reduce(0) { $0 + ($1 == 10 ? 1 : 0) }
    let fields = String(decoding: read("/proc/self/statm"), as: UTF8.self).split(separator: " ")
    resident = fields.count > 1 ? (Int(fields[1]) ?? 0) * 4 : 0
  }
}

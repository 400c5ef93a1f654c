// Executables as images: at their own address or not at all, anywhere when they are position-independent,
// with COPY relocations. gABI, “Program Loading”; psABI AMD64, R_X86_64_COPY.
import Glibc
import LoaderEngine
import SystemPackage
import TestFixtures
import Testing

@Suite("Executables")
struct ExecutableTests {
  static let library = SharedObject(
    "copied",
    """
    long shared[4] = {1, 2, 3, 4};
    long lib_sum(void) { return shared[0] + shared[1] + shared[2] + shared[3]; }
    long lib_where(void) { return (long)shared; }
    """)

  static func program(_ name: String, _ flags: [String]) -> SharedObject {
    SharedObject(
      name, kind: .executable, flags: flags + ["-rdynamic"], needs: [library],
      """
      #include <stdio.h>
      #include <errno.h>
      extern long shared[4], lib_sum(void), lib_where(void);
      static long relative = 5, *pointer = &relative;
      long run(void) { shared[1] += 10; return lib_sum() + *pointer; }
      long same(void) { return lib_where() == (long)shared; }
      long where(void) { return (long)shared; }
      long std(void) { return (long)stdout; }
      int main(int argc, char **argv) { (void)argv; return argc; }
      """)
  }

  static func fixed(_ address: String, _ name: String) -> SharedObject {
    program(name, ["-no-pie", "-fno-pie", "-Wl,-Ttext-segment=\(address)"])
  }

  @Test("An ET_EXEC is at its address, with its copies of variables", arguments: Origin.allCases)
  func atItsAddress(origin: Origin) throws {
    let address: UInt64 = origin == .file ? 0x3000_0000 : 0x3100_0000
    let image = try Self.fixed("0x" + String(address, radix: 16), "fixed\(origin)").load(origin)
    #expect(image.range.start == Address(address))
    #expect(try image.call("run") == 25)
    #expect(try image.call("same") == 1, "the library uses the copy")
    let copy = Address(UInt64(try image.call("where")))
    #expect(image.range.contains(copy))
    let file = try #require(dlsym(nil, "stdout")).load(as: Int.self)
    #expect(try image.call("std") == file)
    #expect(try #require(image.entry).value - address < 1 << 20)
  }

  @Test("… or it is an error, where something is there already")
  func occupied() throws {
    let object = Self.fixed("0x32000000", "occupied")
    let first = try object.load(.memory)
    let reason = LoadedImages.refusal { _ = try object.load(.memory) }
    guard case .system(let error) = reason else {
      Issue.record("\(String(describing: reason))")
      return
    }
    #expect(error.code == EEXIST)
    #expect(try first.call("run") == 25, "and what was there is as it was")
  }

  @Test("A position-independent one is anywhere, as often as one likes", arguments: Origin.allCases)
  func anywhere(origin: Origin) throws {
    let object = Self.program("anywhere", ["-pie", "-fPIE"])
    let images = try (0..<2).map { _ in try object.load(origin) }
    #expect(images[0].range.start != images[1].range.start)
    for image in images {
      #expect(try image.call("run") == 25)
      #expect(try image.call("same") == 1)
      #expect(try image.call("main", 3) & 0xFFFF_FFFF == 3)
    }
  }

  @Test("Libraries and executables are told apart where one of them is wanted")
  func strict() throws {
    let program = Self.program("anywhere", ["-pie", "-fPIE"])
    let fixed = Self.fixed("0x33000000", "strict")
    for object in [program, fixed] {
      #expect(
        LoadedImages.refusal { _ = try LinkContext().loadLibrary(object.source()) } != nil,
        "\(object)")
      #expect(try LinkContext().load(ImageSource(opening: .init(object.path()))).call("run") == 25)
    }
  }
}

// What /proc/self/maps calls the memory of loaded images. A kernel names anonymous memory only if it was built to
// (CONFIG_ANON_VMA_NAME, Linux 5.17): whether it was, a library asks on its own; a memfd has its name on all.
import Foundation
import LoaderEngine
import TestFixtures
import Testing

@Suite("Memory of loaded images is named")
struct MappingNameTests {
  private static let library = SharedObject("named", "int data[4] = {1}; int f(void) { return 7; }")

  private static let probe = SharedObject(
    "probe",
    """
    #include <sys/mman.h>
    #include <sys/prctl.h>
    int can_name(void) {
      void *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      return prctl(0x53564d41, 0, page, 4096, "probe") == 0;
    }
    """)

  /// The last column of the line that holds an address; nil when no line does.
  private func name(at address: Address) throws -> String? {
    // Page by page: the kernel gives no more at a time.
    let file = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/maps"))
    let maps = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
    for line in maps.split(separator: "\n") {
      let columns = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
      let bounds = columns[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
      guard bounds.count == 2, (bounds[0]..<bounds[1]).contains(address.value) else { continue }
      return columns.count == 6 ? columns[5].trimmingCharacters(in: .whitespaces) : ""
    }
    return nil
  }

  @Test(
    "an image's pages say whose they are, where the kernel lets them", arguments: [false, true])
  func names(anonymous: Bool) throws {
    typealias Ask = @convention(c) () -> Int32
    let bytes = FileContents(try Self.probe.bytes())
    let probe = try LinkContext().loadLibrary(ImageSource(bytes, name: "probe"))
    let kernelNames = try probe.symbol("can_name", as: Ask.self).value() == 1
    let mapper: any Mapper = anonymous ? AnonymousMapper() : DefaultMapper()
    let context = LinkContext(LinkContext.Options(mapper: mapper))
    let source = ImageSource(FileContents(try Self.library.bytes()), name: "named")
    let image = try context.loadLibrary(source)
    for segment in image.segments {
      let found = try #require(try name(at: segment.range.start))
      if found.hasPrefix("/memfd:") {
        #expect(found.contains("hotlink"), "\(found)")
      } else if kernelNames {
        #expect(found.hasPrefix("[anon:hotlink"), "\(found)")
      } else {
        #expect(found == "", "nobody else's: \(found)")
      }
    }
    withExtendedLifetime(image) {}
  }
}

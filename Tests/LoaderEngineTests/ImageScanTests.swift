// What an image says about itself before it is loaded, against readelf; images of the process as handles; images
// in odd places: inside a bigger file, under a name that is no text, with more program headers than 16 bits count.
import Foundation
import Glibc
import LoaderEngine
import SystemPackage
import TestFixtures
import Testing

@Suite("Images are scanned and adopted")
struct ImageScanTests {
  private static let plain = SharedObject(
    "scanned",
    flags: [
      "-Wl,-z,now", "-Wl,-Bsymbolic", "-Wl,-z,ibt,-z,shstk", "-lm", "-Wl,--build-id=sha1",
      "version-script:V_1 { global: exported; *_data; local: *; };",
    ],
    """
    #include <math.h>
    __thread int counter = 3; int some_data[4];
    double exported(double x) { return cos(x) + counter + some_data[0]; }
    """)

  private func readelf(_ arguments: [String], _ path: String) throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/readelf")
    process.arguments = arguments + [path]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: output, as: UTF8.self)
  }

  @Test("a scan tells what readelf tells, and loads without reading again")
  func scan() throws {
    let path = try Self.plain.path()
    let scan = try ImageScan(ImageSource(opening: FilePath(path)))
    #expect(scan.kind == .sharedObject)
    #expect(scan.soname == "libscanned.so")
    #expect(scan.needed.contains("libm.so.6"))
    #expect(scan.bindsNow && scan.isSymbolic && !scan.relocatesText && !scan.wantsExecutableStack)
    #expect(scan.tracksIndirectBranches && scan.usesShadowStack)
    #expect(scan.threadStorage?.size == 4 && scan.threadStorage?.initialised == 4)
    #expect(scan.exports.first { $0.name == "exported" }?.version == "V_1")
    #expect(scan.exports.contains { $0.name == "some_data" && $0.size == 16 })
    #expect(!scan.exports.contains { $0.name == "counter" })
    #expect(scan.imports.contains { $0.name == "cos" && $0.version.hasPrefix("GLIBC_2") })
    let notes = try readelf(["-n"], path)
    let id = try #require(scan.buildID).map { String(format: "%02x", $0) }.joined()
    #expect(notes.contains("Build ID: \(id)"))
    let table = try readelf(["-rW"], path)
    for (type, count) in scan.relocations {
      #expect(table.components(separatedBy: type + " ").count - 1 == count, "\(type)")
    }
    // The file may go: the scan has the bytes.
    let copy = Compiled.folder.appending(path: "scan.\(getpid()).so")
    try Data(contentsOf: URL(filePath: path)).write(to: copy)
    let kept = try ImageScan(ImageSource(opening: FilePath(copy.path)))
    try FileManager.default.removeItem(at: copy)
    let image = try LinkContext().load(kept)
    let call: Symbol<@convention(c) (Double) -> Double> = try image.symbol("exported")
    #expect(call.value(0) == 4)
  }

  @Test("programs are told from libraries")
  func kinds() throws {
    let source = "int main(void) { return 0; }"
    let pie = SharedObject("scan_pie", kind: .executable, flags: ["-pie", "-fPIE"], source)
    let fixed = SharedObject("scan_fixed", kind: .executable, flags: ["-no-pie"], source)
    let stack = SharedObject("scan_stack", flags: ["-z", "execstack"], "int f(void) { return 1; }")
    #expect(
      try ImageScan(ImageSource(opening: FilePath(pie.path()))).kind
        == .positionIndependentExecutable)
    #expect(try ImageScan(ImageSource(opening: FilePath(fixed.path()))).kind == .executable)
    #expect(try ImageScan(ImageSource(opening: FilePath(stack.path()))).wantsExecutableStack)
    #expect(throws: LinkError.self) { try LinkContext().loadLibrary(FilePath(pie.path())) }
    #expect(throws: LinkError.self) { try LinkContext().loadLibrary(FilePath(fixed.path())) }
    #expect(throws: LinkError.self) { try LinkContext().loadLibrary(FilePath(stack.path())) }
  }

  @Test("the program, a library and the vDSO are adopted, not owned")
  func adoption() throws {
    let program = try #require(LinkContext.processImages.first)
    #expect(program.isAdopted && program.name == "/proc/self/exe")
    let libc = try #require(LinkContext.adopt(named: "libc.so.6"))
    #expect(libc.address(of: "qsort")?.pointer == dlsym(nil, "qsort").map { UnsafeRawPointer($0) })
    #expect(libc.symbol(at: try #require(libc.address(of: "qsort")))?.name == "qsort")
    let inside = try #require(libc.address(of: "malloc"))
    #expect(LinkContext.adopt(at: inside)?.name == libc.name)
    let vdso = try #require(LinkContext.adopt(named: "linux-vdso.so.1"))
    typealias Clock = @convention(c) (Int32, UnsafeMutablePointer<timespec>) -> Int32
    let clock: Symbol<Clock> = try vdso.symbol("__vdso_clock_gettime", version: "LINUX_2.6")
    var now = timespec()
    #expect(clock.value(CLOCK_MONOTONIC, &now) == 0 && now.tv_sec > 0)
  }

  private static let small = SharedObject("small", "int answer(void) { return 42; }")

  private func answer(_ image: Image) throws -> Int32 {
    try image.symbol("answer", as: (@convention(c) () -> Int32).self).value()
  }

  @Test("an image inside a bigger file is loaded", arguments: [0, 4096, 12288, 1, 4097])
  func insideAFile(offset: Int) throws {
    let bytes = try Self.small.bytes()
    let file = Compiled.folder.appending(path: "bigger.\(getpid()).\(offset)")
    try Data([UInt8](repeating: 0xAA, count: offset) + bytes + [1, 2, 3]).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let source = try ImageSource(
      opening: FilePath(file.path), offset: UInt64(offset), size: UInt64(bytes.count))
    #expect(try answer(LinkContext().loadLibrary(source)) == 42)
    #expect(throws: LinkError.self) {
      try ImageSource(opening: FilePath(file.path), offset: UInt64(offset + bytes.count + 4))
    }
  }

  @Test("a path need not be text")
  func oddPath() throws {
    let folder = Compiled.folder.path + "/"
    let name: [CChar] =
      folder.utf8CString.dropLast() + [
        CChar(bitPattern: 0xFF), CChar(bitPattern: 0xFE), 0x2E, 0x73, 0x6F, 0,
      ]
    let bytes = try Self.small.bytes()
    let descriptor = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    #expect(descriptor >= 0 && write(descriptor, bytes, bytes.count) == bytes.count)
    close(descriptor)
    defer { unlink(name) }
    #expect(try answer(LinkContext().loadLibrary(FilePath(platformString: name))) == 42)
  }

  @Test("a count of program headers beyond 16 bits stands in the first section header")
  func manyProgramHeaders() throws {
    // Behind the file: the old headers, then empty ones, and a section header that counts them.
    var bytes = try Self.small.bytes()
    let count = 0x1_0001
    let old = bytes.withUnsafeBytes {
      (
        at: Int($0.loadUnaligned(fromByteOffset: 32, as: UInt64.self)),
        count: Int($0.loadUnaligned(fromByteOffset: 56, as: UInt16.self))
      )
    }
    let headers = Array(bytes[old.at..<(old.at + old.count * 56)])
    while bytes.count % 8 != 0 { bytes.append(0) }
    let table = bytes.count
    bytes += headers + [UInt8](repeating: 0, count: (count - old.count) * 56)
    let section = bytes.count
    bytes += [UInt8](repeating: 0, count: 64)
    bytes.withUnsafeMutableBytes {
      $0.storeBytes(of: UInt64(table), toByteOffset: 32, as: UInt64.self)
      $0.storeBytes(of: UInt64(section), toByteOffset: 40, as: UInt64.self)
      $0.storeBytes(of: 0xFFFF, toByteOffset: 56, as: UInt16.self)
      $0.storeBytes(of: UInt32(count), toByteOffset: section + 44, as: UInt32.self)
    }
    let image = try LinkContext().loadLibrary(
      ImageSource(FileContents(bytes), name: "libmany.so"))
    #expect(try answer(image) == 42)
  }
}

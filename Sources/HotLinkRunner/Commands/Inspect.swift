// `hotlink inspect FILE`: everything an ELF file or an archive says about itself. Of any machine; nothing
// is linked.
import ArgumentParser
import Glibc
import HotLink
import LoaderEngine
import SystemPackage

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows headers, segments, sections, symbols and relocations of a file.",
    discussion: """
      Reads ELF files of any class, byte order and machine, and lists the members of archives. `-` \
      reads standard input. Exit codes: 0 shown, 2 the file cannot be read.
      """)

  @Argument(help: "Object, shared library, program or archive.")
  var file: String

  @Flag(help: "One JSON object on standard output.")
  var json = false

  func run() throws {
    do {
      let contents =
        file == "-"
        ? try FileContents(draining: STDIN_FILENO, name: "standard input")
        : try FileContents(reading: FilePath(file))
      let name = file == "-" ? "standard input" : file
      let bytes = Bytes(contents)
      switch Identification.kind(of: bytes) {
      case .archive, .thinArchive:
        let listing = ArchiveListing(file: name, archive: try Archive(bytes, name: name))
        show(listing.json, listing.text)
      case .llvmBitcode:
        throw LinkError(
          file: name, .unsupported(what: "LLVM bitcode", help: "compile without -flto"))
      default:
        let scan = try ElfScan(bytes, name: name)
        show(InspectJSON(file: name, scan: scan).value, InspectText(file: name, scan: scan).text)
      }
    } catch let error as LinkError {
      Reporter(json: json).failed(error)
      throw ExitCode(RunnerExit.badInput)
    }
  }

  /// Only one of the two is made.
  private func show(_ value: @autoclosure () -> JSON, _ text: @autoclosure () -> String) {
    print(json ? value().text : text(), terminator: json ? "\n" : "")
  }
}

// Registration with the Swift runtime of the process: the toolchain's own registration object is linked
// with each set that has something to register, and finds the set's records by `__start_` and `__stop_`.
internal import CLoaderSupport
internal import Glibc
internal import SystemPackage

package enum SwiftRuntime {
  /// The number of the registration object in a link; it is no unit of the program.
  package static let unit: UInt32 = .max - 1

  /// Whether an object has anything to register.
  package static func hasRecords(_ object: ObjectFile) -> Bool {
    object.isSwift && object.sections.indices.contains { isRecordList(object.name(ofSection: $0)) }
  }

  /// Whether a section of this name holds records that are registered.
  package static func isRecordList(_ name: NameView) -> Bool {
    name == "swift5_protocols" || name == "swift5_protocol_conformances"
      || name == "swift5_type_metadata" || name == "swift5_replace" || name == "swift5_replac2"
      || name == "swift5_accessible_functions" || name == "swift5_runtime_attributes"
      || name == "swift5_tests"
  }

  /// The toolchain's `swiftrt.o`, beside the runtime library of the process.
  package static func registrationObject() throws(LinkError) -> ObjectFile {
    guard let function = dlsym(nil, "swift_addNewDSOImage"),
      let library = hl_image_path(function)
    else {
      throw LinkError(
        file: "swiftrt.o",
        .unsupported(
          what: "Swift units without the Swift runtime in the process",
          help: "link the host with libswiftCore.so, or name it with -l swiftCore"))
    }
    let directory = FilePath(String(cString: library)).removingLastComponent()
    for candidate in [directory.appending("x86_64"), directory] {
      let path = candidate.appending("swiftrt.o")
      if let contents = try? FileContents(reading: path) {
        return try ObjectFile(Bytes(contents), name: path.string)
      }
    }
    throw LinkError(
      file: "swiftrt.o",
      .unsupported(
        what: "no registration object beside \(String(cString: library))",
        help: "install the Swift toolchain's swiftrt.o"))
  }

  /// Libraries an object asks for: `-lNAME` entries that swiftc leaves for the linker.
  package static func autolinkedLibraries(_ object: ObjectFile) -> [String] {
    guard object.isSwift else { return [] }
    var names: [String] = []
    for section in object.sections.indices
    where object.name(ofSection: section) == ".swift1_autolink_entries" {
      guard let bytes = object.contents(ofSection: section) else { continue }
      for entry in bytes.array.split(separator: 0) {
        let text = String(decoding: entry, as: UTF8.self)
        if text.hasPrefix("-l") { names.append(String(text.dropFirst(2))) }
      }
    }
    return names
  }
}

// A library, the ways it is broken, and what a child process does with each broken copy: loads it twice, asks
// it everything a caller may ask, looks whether anything was written that nobody may write, and throws an
// exception elsewhere while it is loaded.
import CLoaderSupport
import Foundation
import Glibc
import LoaderEngine
import TestFixtures

/// A list of broken images.
struct ImageBreakage: Codable, Sendable {
  enum Family: String, Codable { case truncations, flips }

  /// Whether there is time for every bit.
  static let isLong = ProcessInfo.processInfo.environment["HOTLINK_LONG_TESTS"] == "1"

  var subject: BreakableImage
  var family: Family
  /// Every how manieth length is tried, or bit flipped.
  var step = 1
  var seed: UInt64 = 0

  func mutations(of bytes: [UInt8]) -> [Mutation] {
    switch family {
    case .truncations:
      Mutation.truncations(of: bytes).enumerated().filter { $0.offset % step == 0 }.map(\.element)
    case .flips:
      Mutation.flips(in: ImageLayout(bytes), first: Int(seed % UInt64(step)), step: step)
    }
  }

  /// Whether resolvers of IFUNCs may run in a copy that is broken so. The image's own code decides what a
  /// resolver does, and a changed address leads into the middle of it: a crash there is not the loader's.
  /// So they run where code and every address of code are as the compiler made them.
  static func keepsCode(_ mutation: Mutation, _ layout: ImageLayout) -> Bool {
    switch mutation {
    case .truncated: true
    case .flipped(let byte, _): layout.table(at: byte).map(ImageLayout.leadsToNoCode) ?? false
    case .replaced, .corrupted: false
    }
  }

  /// Runs the mutations from number `first` on.
  func run(from first: Int, progress: String, count: Int = .max) throws {
    let bytes = try subject.bytes()
    let layout = ImageLayout(bytes)
    let mutations = mutations(of: bytes)
    let note = try RunProgress(progress)
    let trial = try ImageTrial(note, room: bytes.count, isExecutable: subject.isExecutable)
    for (number, mutation) in mutations.enumerated().dropFirst(first).prefix(count) {
      note.begin(number)
      alarm(20)  // a loop that does not end ends here
      let accepted = try trial.run(
        mutation.applied(to: bytes),
        runsResolvers: ImageBreakage.keepsCode(mutation, layout))
      if accepted { note.accept() }
    }
    note.begin(mutations.count)
  }
}

/// Loads bytes in a child process and asks the image everything.
final class ImageTrial {
  enum Counter: Int { case loads, exceptions, lookups, indirect }

  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  private let note: RunProgress
  private let reader: GuardedReader
  private let descriptor: Int32
  private let mapper = GuardedMapper()
  private let throwAndCatch: @convention(c) (Int32) -> Int32
  private let isExecutable: Bool
  private var turn: Int32 = 0

  /// - Parameter room: the most bytes an image has.
  init(_ note: RunProgress, room: Int, isExecutable: Bool) throws {
    self.note = note
    self.isExecutable = isExecutable
    reader = try GuardedReader(room: room)
    descriptor = hl_memfd_create("broken")
    guard descriptor >= 0, let handle = dlopen(try BreakableImage.thrower().path, RTLD_NOW),
      let function = dlsym(handle, "hotlink_throw_and_catch")
    else { throw Failure(description: "no thrower") }
    throwAndCatch = unsafeBitCast(function, to: (@convention(c) (Int32) -> Int32).self)
  }

  deinit { close(descriptor) }

  /// Loads the bytes bound at once, out of memory and between guards, and bound lazily, as a file.
  ///
  /// - Returns: whether the first load was accepted.
  /// - Throws: `Failure` for damage; what the loader throws is an answer, not an error.
  func run(_ bytes: [UInt8], runsResolvers: Bool) throws -> Bool {
    turn &+= 1
    reader.hold(bytes)
    var options = LinkContext.Options(mapper: mapper)
    options.runsInitialisers = false
    options.image.runsResolvers = runsResolvers
    let isAccepted = try load(ImageSource(reader, name: "broken.so"), options)
    if let damage = mapper.inspect() { throw Failure(description: damage) }
    guard ftruncate(descriptor, 0) == 0,
      bytes.withUnsafeBytes({ pwrite(descriptor, $0.baseAddress, bytes.count, 0) }) == bytes.count
    else { throw Failure(description: "memfd: \(errno)") }
    options.mapper = DefaultMapper.shared
    options.image.binding = .lazy
    guard let file = try? ImageSource(descriptor: descriptor, name: "broken.so") else {
      throw Failure(description: "memfd: \(errno)")
    }
    _ = try load(file, options)
    return isAccepted
  }

  private func load(_ source: ImageSource, _ options: LinkContext.Options) throws -> Bool {
    let context = LinkContext(options)
    note.count(Counter.loads.rawValue)
    let image: Image
    do throws(LinkError) {
      image =
        isExecutable
        ? try context.loadExecutable(source) : try context.loadLibrary(source)
    } catch {
      return false
    }
    question(image, context)
    guard throwAndCatch(turn) == turn &+ 1 else {
      throw Failure(description: "an exception was not caught")
    }
    note.count(Counter.exceptions.rawValue)
    return true
  }

  private func question(_ image: Image, _ context: LinkContext) {
    _ = (image.soname, image.entry, image.hugePageBytes, image.relocationCount)
    note.count(Counter.indirect.rawValue, image.unresolvedIndirectCount)
    let exports = image.exports
    for export in exports {
      _ = image.address(of: export.name)
      _ = image.address(of: export.name, version: export.version)
      _ = image.symbol(at: export.address)
      _ = context.address(of: export.name)
    }
    note.count(Counter.lookups.rawValue, exports.count)
    for name in ["no_such_name_anywhere", "", "abs"] {
      _ = image.address(of: name)
      _ = image.address(of: name, version: "V9")
      _ = context.address(of: name)
    }
    let range = image.range
    for offset in [0, 1, range.size / 2, range.size - 1, range.size, UInt64.max] {
      _ = image.symbol(at: range.start &+ offset)
    }
  }
}

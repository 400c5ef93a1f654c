// What is broken, in which ways, and the loop that a child process runs over them. The child notes the
// number of the run it begins, so that the parent can name the input that killed it.
import Foundation
import HotLink
import LoaderEngine
import TestFixtures
import Testing

/// A fixture and a family of mutations of it.
struct Breakage: Codable, Sendable, CustomTestStringConvertible {
  enum Subject: String, Codable, CaseIterable {
    case smallC, smallCXX, swift, archive
    /// Relocations in SHT_REL, and in SHT_CREL.
    case implicit, compact
    /// Debug data in compressed sections.
    case compressed
    /// Debug data that the layout guard reads: gcc's with type units, clang's with indices.
    case debugged, indexed
    case threadLocal
    /// Code of the large model: fields of 64 bits, GOTOFF64 and its like.
    case large
  }
  enum Family: String, Codable { case truncations, flips, extremes, corruptions }
  enum Manner: String, Codable {
    /// As the first unit of a session that only checks.
    case check
    /// As the next version of a unit that runs.
    case reload
  }

  /// Whether there is time for tens of thousands of random inputs.
  static let isLong = ProcessInfo.processInfo.environment["HOTLINK_LONG_TESTS"] == "1"

  var subject: Subject
  var family: Family
  var manner: Manner
  var seed: UInt64 = 0

  var testDescription: String { "\(family.rawValue) of \(subject.rawValue), \(manner.rawValue)" }

  func bytes() throws -> [UInt8] {
    switch subject {
    case .smallC: try Compiled.object(.gcc, FixtureSource.smallC, flags: ["-O1"])
    case .smallCXX: try Compiled.object(.gxx, FixtureSource.smallCXX, flags: ["-O1"])
    case .swift:
      try Compiled.object(
        .swiftc, FixtureSource.smallSwift, flags: ["-Onone", "-swift-version", "5"])
    case .implicit:
      ImplicitAddends.made(
        of: try Compiled.object(.gxx, FixtureSource.smallCXX, flags: ["-O1", "-fPIC"]))
    case .compact:
      try Compiled.object(
        .clangxx, FixtureSource.smallCXX,
        flags: ["-O1", "-fPIC", "-Wa,--crel,--allow-experimental-crel"])
    case .compressed:
      try Compiled.object(.gcc, FixtureSource.smallC, flags: ["-O1", "-g", "-gz"])
    case .debugged:
      try Compiled.object(
        .gxx, FixtureSource.smallCXX, flags: ["-O1", "-g", "-fdebug-types-section"])
    case .indexed: try Compiled.object(.clangxx, FixtureSource.smallCXX, flags: ["-O1", "-g"])
    case .threadLocal:
      try Compiled.object(.gcc, FixtureSource.threadLocal, flags: ["-O1", "-fPIC"])
    case .large:
      try Compiled.object(
        .gcc, FixtureSource.threadLocal, flags: ["-O1", "-fPIC", "-mcmodel=large"])
    case .archive:
      [UInt8](
        try Data(
          contentsOf: Compiled.archive([
            ("a.o", try Compiled.object(.gcc, "int first(void) { return 1; }")),
            (
              "a_member_with_a_long_name.o",
              try Compiled.object(.gcc, "int first(void); int second(void) { return first(); }")
            ),
          ])))
    }
  }

  func mutations(of bytes: [UInt8]) -> [Mutation] {
    switch family {
    case .truncations where subject.isThinned:
      return Mutation.truncations(of: bytes, dense: 1024, stride: 1 + Int(seed % 7))
    case .truncations:
      return subject == .swift
        ? Mutation.truncations(of: bytes, dense: 4096, stride: 1 + Int(seed % 97))
        : Mutation.truncations(of: bytes)
    case .corruptions:
      return Mutation.corruptions(
        seed: seed, count: Breakage.isLong ? 40_000 : subject.isThinned ? 400 : 1500)
    case .flips:
      if subject == .archive {
        return bytes.indices.flatMap { byte in (0..<8).map { .flipped(byte: byte, bit: $0) } }
      }
      let flips = Mutation.flips(in: ObjectLayout(bytes))
      guard subject.isThinned else { return flips }
      return stride(from: Int(seed % 29), to: flips.count, by: 29).map { flips[$0] }
    case .extremes: return Mutation.extremes(in: ObjectLayout(bytes))
    }
  }

  /// Runs the mutations from number `first` on. The numbers of begun and accepted runs go to the file.
  func run(from first: Int, progress: String, count: Int = .max) throws {
    let bytes = try bytes()
    let mutations = mutations(of: bytes)
    let note = try RunProgress(progress)
    switch manner {
    case .check:
      let session = try Session()
      for (number, mutation) in mutations.enumerated().dropFirst(first).prefix(count) {
        note.begin(number)
        if Breakage.checks(session, mutation.applied(to: bytes), subject) { note.accept() }
      }
    case .reload:
      var options = Session.Options()
      options.arguments = ["fixture"]
      let session = try Session(options)
      try session.add(bytes, name: "unit.o")
      try session.start()
      for (number, mutation) in mutations.enumerated().dropFirst(first).prefix(count) {
        note.begin(number)
        do {
          try session.add(mutation.applied(to: bytes), name: "unit.o")
          if session.waitUntilLinked() { note.accept() }
        } catch { continue }  // a typed error: that is the answer we want
      }
    }
    note.begin(mutations.count)
  }

  private static func checks(_ session: Session, _ bytes: [UInt8], _ subject: Subject) -> Bool {
    do throws(LinkError) {
      try session.add(bytes, name: subject == .archive ? "lib.a" : "unit.o")
    } catch { return false }
    do throws(Refusal) {
      let result = try session.check()
      for symbol in result.symbols.prefix(6) { _ = session.linkedBytes(of: symbol.name) }
      return true
    } catch { return false }
  }
}

extension Breakage.Subject {
  /// Whether, where time is short, each run takes another share of the mutations.
  var isThinned: Bool {
    switch self {
    case .implicit, .compact, .compressed, .debugged, .indexed, .threadLocal, .large:
      !Breakage.isLong
    case .smallC, .smallCXX, .swift, .archive: false
    }
  }
}

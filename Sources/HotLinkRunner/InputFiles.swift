// The files of a command line, of which there may be ten thousand, and which archives are meant whole. The flags hold for what follows them, as for a
// linker: `main.o --whole-archive libplugins.a --no-whole-archive libz.a`. ld(1).
import Foundation
import Synchronization

/// Files in their order.
struct InputFiles {
  struct File: Equatable {
    var path: String
    /// All members of an archive are linked, needed or not.
    var isWhole: Bool
  }

  let files: [File]

  /// - Parameters:
  ///   - paths: the files, as the parser has found them.
  ///   - arguments: the command line that they stand on.
  init(_ paths: [String], on arguments: [String]) {
    var isWhole = false
    var at = paths.startIndex
    var found: [File] = []
    var applies = false
    for argument in arguments.flatMap(FileRuns.words) {
      if argument == "--whole-archive" {
        isWhole = true
      } else if argument == "--no-whole-archive" {
        isWhole = false
      } else if at < paths.endIndex, argument == paths[at] {
        applies = applies || (isWhole && argument.hasSuffix(".a"))
        found.append(File(path: argument, isWhole: isWhole))
        at += 1
      }
    }
    // A flag behind all archives can only have been meant for them.
    let isLate = !applies && isWhole
    files = (found + paths[at...].map { File(path: $0, isWhole: isWhole) }).map {
      File(path: $0.path, isWhole: $0.isWhole || isLate)
    }
  }
}

/// Long runs of files, which swift-argument-parser would take in quadratic time: it sees one word for each run.
enum FileRuns {
  private static let runs = Mutex<[[String]]>([])
  private static let mark = "\u{1}files:"
  /// Runs up to this length stay as they are.
  private static let short = 16

  /// The arguments with `@FILE` replaced by the words in that file, and long runs of files folded. The
  /// first word of a run stays: it may be an option's value.
  static func folded(_ arguments: [String]) -> [String] {
    var result: [String] = []
    var run: [String] = []
    func close() {
      if run.count > short {
        result.append(run[0])
        result.append(
          runs.withLock { runs in
            runs.append(Array(run.dropFirst()))
            return mark + String(runs.count - 1)
          })
      } else {
        result += run
      }
      run = []
    }
    for argument in arguments.flatMap(words) {
      if argument.hasPrefix("-") && argument != "-" {
        close()
        result.append(argument)
      } else {
        run.append(argument)
      }
    }
    close()
    return result
  }

  /// The files that words of the folded command line stand for.
  static func unfolded(_ words: [String]) -> [String] {
    words.flatMap { word -> [String] in
      guard word.hasPrefix(mark), let index = Int(word.dropFirst(mark.count)) else { return [word] }
      return runs.withLock { index < $0.count ? $0[index] : [word] }
    }
  }

  /// `@FILE` as linkers take it: words between white space, in quotes or with backslashes where they
  /// hold some. Any other word is itself.
  static func words(_ argument: String) -> [String] {
    guard argument.hasPrefix("@"), argument.count > 1,
      !FileManager.default.fileExists(atPath: argument),
      let data = FileManager.default.contents(atPath: String(argument.dropFirst()))
    else { return [argument] }
    var words: [String] = []
    var word: [UInt8]?
    var quote: UInt8?
    var isEscaped = false
    for byte in data {
      if isEscaped {
        word = (word ?? []) + [byte]
        isEscaped = false
      } else if byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else if byte == quote {
        quote = nil
      } else if quote == nil, byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
        quote = byte
        word = word ?? []
      } else if quote == nil, byte == 32 || (9...13).contains(byte) {
        if let known = word { words.append(String(decoding: known, as: UTF8.self)) }
        word = nil
      } else {
        word = (word ?? []) + [byte]
      }
    }
    if let word { words.append(String(decoding: word, as: UTF8.self)) }
    return words
  }
}

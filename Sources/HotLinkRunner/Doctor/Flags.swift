// The flags an object was compiled with, as far as its compiler noted them: gcc in DW_AT_producer
// (-grecord-gcc-switches is its default), clang with -grecord-command-line, both in .GCC.command.line with
// -frecord-gcc-switches; and in compile_commands.json.
import Foundation

struct Flags {
  private var words: Set<String> = []

  init(_ text: String) { add(text) }

  mutating func add(_ text: String) {
    for word in text.split(whereSeparator: \.isWhitespace) where word.hasPrefix("-") {
      words.insert(String(word))
    }
  }

  /// `-flto` is also `-flto=auto`.
  func has(_ flag: String) -> Bool { words.contains { $0 == flag || $0.hasPrefix(flag + "=") } }

  struct Rule {
    var flag: String
    var code: String
    var why: String
    var help: String
  }

  static let harmful = [
    Rule(
      flag: "-flto", code: "lto",
      why:
        "functions are put into others across files at the end of a build, which never comes here",
      help: "compile without -flto while you work"),
    Rule(
      flag: "-fwhole-program", code: "whole-program",
      why:
        "the compiler takes the file for the whole program: what others call may be gone or inlined",
      help: "compile without -fwhole-program"),
    Rule(
      flag: "-fmerge-all-constants", code: "merged-constants",
      why: "different variables share one address, so an edit of one may change the other",
      help: "compile without -fmerge-all-constants"),
    Rule(
      flag: "-fprofile-generate", code: "profiling",
      why: "counters are kept by position: after a reload they count other code",
      help: "compile without -fprofile-generate"),
    Rule(
      flag: "-fsanitize", code: "sanitizer",
      why: "the sanitizer's runtime is not in the process, and knows nothing of reloaded variables",
      help: "compile without -fsanitize"),
    Rule(
      flag: "-fsplit-stack", code: "split-stack",
      why: "functions are called through a convention that stubs do not keep",
      help: "compile without -fsplit-stack"),
    Rule(
      flag: "-gsplit-dwarf", code: "split-debug-data",
      why: "types are in another file, so a changed struct is not noticed",
      help: "compile with plain -g"),
  ]

  /// `GNU C17 12.2.0 -O2` and `GCC: (Debian 12.2.0-14) 12.2.0` are `gcc 12`; `clang version 14.0.6` is `clang 14`.
  static func compiler(of producer: String) -> String? {
    let isSwift = producer.contains("Swift version")
    let isClang = producer.contains("clang version")
    let isGCC = producer.hasPrefix("GNU ") || producer.hasPrefix("GCC: ")
    guard isClang || isGCC || isSwift else { return nil }
    if producer.hasPrefix("GNU AS") { return nil }
    let words = producer.split(whereSeparator: \.isWhitespace)
    let version = words.first { word in
      word.first?.isNumber == true && word.contains(".")
    }
    let major = version.map { String($0.prefix { $0.isNumber }) } ?? ""
    return (isSwift ? "swiftc" : isClang ? "clang" : "gcc") + (major.isEmpty ? "" : " \(major)")
  }
}

/// `compile_commands.json` of a build (Clang: JSON Compilation Database).
struct CompilationDatabase {
  private var commands: [String: String] = [:]

  /// Looks in a directory and those above it.
  init(near path: String) {
    var directory = URL(filePath: path).standardizedFileURL
    for _ in 0..<8 {
      let file = directory.appending(path: "compile_commands.json")
      if let data = try? Data(contentsOf: file) {
        read(data)
        return
      }
      guard directory.path != "/" else { return }
      directory.deleteLastPathComponent()
    }
  }

  private mutating func read(_ data: Data) {
    guard let entries = try? JSONSerialization.jsonObject(with: data) as? [[String: Any]] else {
      return
    }
    for entry in entries {
      let words =
        entry["arguments"] as? [String]
        ?? (entry["command"] as? String)?.split(separator: " ").map(String.init) ?? []
      let named = entry["output"] as? String
      guard let output = named ?? words.firstIndex(of: "-o").flatMap({ words[safe: $0 + 1] }) else {
        continue
      }
      let directory = URL(filePath: entry["directory"] as? String ?? "/")
      let path = URL(filePath: output, relativeTo: directory).standardizedFileURL.path
      commands[path] = words.joined(separator: " ")
    }
  }

  /// The flags that a file was made with, as far as they are known.
  func command(for path: String) -> String {
    commands[URL(filePath: path).standardizedFileURL.path] ?? ""
  }
}

extension Array {
  fileprivate subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}

/// Make's rules beside an object (`game.d` or `game.o.d`), as compilers write them with -MD.
enum Dependencies {
  static func sources(of path: String) -> [String] {
    let url = URL(filePath: path)
    let candidates = [
      url.deletingPathExtension().appendingPathExtension("d"), url.appendingPathExtension("d"),
    ]
    guard
      let text = candidates.lazy.compactMap({ try? String(contentsOf: $0, encoding: .utf8) }).first,
      let colon = text.firstIndex(of: ":")
    else { return [] }
    // The first rule only; those behind it are for headers that may be deleted.
    let rule = text[text.index(after: colon)...].replacing("\\\n", with: " ").prefix { $0 != "\n" }
    return rule.split(separator: " ").compactMap { word in
      let name = String(word)
      // Relative to where make ran: the object's directory or one above it.
      var directory = url.deletingLastPathComponent()
      for _ in 0..<3 {
        let candidate = name.hasPrefix("/") ? name : directory.appending(path: name).path
        if access(candidate, F_OK) == 0 { return candidate }
        directory.deleteLastPathComponent()
      }
      return nil
    }
  }
}

// Proof of effect: what a reload changed in the code that runs, what still runs old code, and why an edit had no
// effect. “I saved and nothing changed” always has an answer.
import Foundation
import HotLink
import LoaderEngine

enum EffectReport {
  /// Lines for a reload that the program cannot tell from none.
  static func nothing(_ report: ReloadReport) -> [String] {
    guard !report.hasEffect, report.shadowed.isEmpty, report.layoutWarnings.isEmpty else {
      return []
    }
    return [
      "nothing that runs changed: the objects differ only in debug data, names or order;"
        + " all functions and values are the same"
    ]
  }

  /// What became of functions, those without effect first.
  static func functions(_ report: ReloadReport) -> [String] {
    report.shadowed.map {
      "\(name($0.symbol)): changed in \(Reporter.short($0.unit)), but the copy of"
        + " \(Reporter.short($0.owner)) runs: rebuild that, too"
    }
      + list("changed", report.changed) + list("new", report.added) + list("gone", report.removed)
  }

  private static func list(_ what: String, _ symbols: [String]) -> [String] {
    guard !symbols.isEmpty else { return [] }
    let rest = symbols.count > 8 ? " and \(symbols.count - 8) more" : ""
    return ["\(what): " + symbols.prefix(8).map(name).joined(separator: ", ") + rest]
  }

  static func immovable(_ report: ReloadReport) -> [String] {
    report.immovable.map {
      "\(name($0)): its address, taken inside its own section, could not be led to the new body;"
        + " compile with -ffunction-sections"
    }
  }

  /// Which functions of earlier generations threads have not left, and which may be resumed.
  static func frames(_ report: ReloadReport) -> [String] {
    report.running.map {
      let what = $0.function.isEmpty ? "code of \(Reporter.short($0.unit))" : name($0.function)
      return "still running: \(what) of generation \($0.generation), in thread \($0.thread)"
        + (threadName($0.thread).map { " '\($0)'" } ?? "")
    }
      + report.pins.flatMap { pin in
        pin.functions.prefix(8).map {
          "suspended calls go on in old code: \(name($0)) (\(Reporter.short(pin.unit)))"
        }
      }
  }

  /// Why nothing happened when files were saved.
  static func unchanged(_ files: UnchangedFiles) -> String {
    let names = files.files.prefix(3).map(Reporter.short).joined(separator: ", ")
    let more = files.files.count > 3 ? " and \(files.files.count - 3) more" : ""
    return files.isRefused
      ? "\(names)\(more): saved as it was when it was refused; the program goes on as it was"
      : "\(names)\(more): saved, but it holds the same bytes as before; nothing to reload"
  }

  // MARK: as JSON

  static func json(_ frame: OldFrame) -> JSON {
    .object([
      ("function", .string(frame.function)), ("unit", .string(frame.unit)),
      ("generation", .count(frame.generation)), ("thread", .integer(Int64(frame.thread))),
      ("thread_name", threadName(frame.thread).map { .string($0) } ?? .null),
    ])
  }

  static func json(_ function: ShadowedFunction) -> JSON {
    .object([
      ("symbol", .string(function.symbol)), ("unit", .string(function.unit)),
      ("owner", .string(function.owner)),
    ])
  }

  // MARK: names

  /// As a person writes it.
  static func name(_ symbol: String) -> String { ReadableName.of(symbol) }

  /// Linux: /proc/self/task/TID/comm. Nil when the thread has ended.
  private static func threadName(_ thread: Int32) -> String? {
    let text = try? String(contentsOfFile: "/proc/self/task/\(thread)/comm", encoding: .utf8)
    return text?.split(separator: "\n").first.map(String.init)
  }
}

// `hotlink ctl VERB` and `hotlink explain SYMBOL`: what a running `watch` is asked and told from outside.
import ArgumentParser

struct Explain: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tells what a running `watch` knows about a symbol.",
    discussion: """
      Its unit, body and stub, who uses it, and what each reload did to it. The name may be the symbol, or as one
      writes it: Game::score, update(float), count.

      Exit codes: 0 told, 2 no such symbol, 4 no program can be reached.
      """)

  @Argument(help: "A function or variable.")
  var symbol: String

  @OptionGroup var target: ControlTarget

  func run() throws { try ControlClient(target: target).ask("explain", symbol) }
}

struct Control: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ctl",
    abstract: "Talks to a running `watch`.",
    discussion: """
      status         generation, units, frames, what was refused
      explain NAME   as `hotlink explain`
      reload         links once more what was refused
      reset UNIT     the same, and the unit may lose its state if that is what it takes
      pause, resume  the entry is not called; edits still take effect

      Exit codes: 0 done, 2 not understood, 4 no program can be reached.
      """)

  enum Verb: String, ExpressibleByArgument, CaseIterable {
    case status, explain, reload, reset, pause, resume
    var takesSubject: Bool { self == .explain || self == .reset }
  }

  @Argument(help: "What to do: status, explain, reload, reset, pause, resume.")
  var verb: Verb

  @Argument(help: "The symbol to explain, or the unit to reset.")
  var subject: String?

  @OptionGroup var target: ControlTarget

  func validate() throws {
    guard (subject != nil) == verb.takesSubject else {
      throw ValidationError(
        verb.takesSubject
          ? "\(verb.rawValue) needs \(verb == .explain ? "a symbol" : "a unit")"
          : "\(verb.rawValue) takes nothing")
    }
  }

  func run() throws { try ControlClient(target: target).ask(verb.rawValue, subject ?? "") }
}

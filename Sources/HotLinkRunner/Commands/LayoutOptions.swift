// Options of `check` for people who work on linkers: where to lay out, what is defined outside, how to bind.
import ArgumentParser
import HotLink
import LoaderEngine

/// An address as people write it: `0x401000`, or decimal.
struct AddressArgument: ExpressibleByArgument {
  var value: UInt64

  init?(argument: String) {
    let isHex = argument.hasPrefix("0x") || argument.hasPrefix("0X")
    guard
      let value = UInt64(isHex ? String(argument.dropFirst(2)) : argument, radix: isHex ? 16 : 10)
    else { return nil }
    self.value = value
  }
}

/// `NAME=ADDRESS`.
struct DefinedSymbol: ExpressibleByArgument {
  var name: String
  var address: UInt64

  init?(argument: String) {
    guard let sign = argument.lastIndex(of: "="), sign != argument.startIndex,
      let address = AddressArgument(argument: String(argument[argument.index(after: sign)...]))
    else { return nil }
    name = String(argument[..<sign])
    self.address = address.value
  }
}

struct LayoutOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Lay out at this address, any of 64 bits, hexadecimal with 0x or decimal. Nothing is mapped there.",
      valueName: "address"))
  var base: AddressArgument?

  @Option(
    name: .customLong("define"),
    help: ArgumentHelp(
      "Symbol from outside; goes before the process's own. May be repeated.",
      valueName: "name=address"))
  var defines: [DefinedSymbol] = []

  @Flag(help: "Bind calls and addresses to bodies; stubs only where one is out of reach.")
  var direct = false

  @Flag(
    inversion: .prefixedNo, help: "Rewrite loads of addresses from the GOT where it can be done.")
  var relax = true

  @Flag(help: "Merge equal strings and constants (as a running program's are).")
  var merge = false

  @Flag(help: "Show the contents of sections after relocation.")
  var bytes = false

  /// Whether this is a link for looking at, apart from what `run` would do.
  var isApart: Bool { base != nil || direct || !defines.isEmpty }

  func apply(to options: inout Session.Options) {
    options.defines = defines.map { ($0.name, $0.address) }
    options.bindsDirectly = direct
    options.relaxation = !relax ? .none : direct ? .all : .functions
    options.mergesConstants = merge || !(bytes || direct || base != nil)
    options.notesRelaxations = true
  }

  /// Reads all input, so that it is known how much space it needs.
  func contents(of files: [InputFiles.File]) throws(LinkError) -> [(
    bytes: [UInt8], name: String
  )] {
    var contents: [(bytes: [UInt8], name: String)] = []
    for file in files { contents.append(try Session.read(input: file.path)) }
    return contents
  }
}

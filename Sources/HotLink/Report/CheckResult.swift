// The outcome of a link that is looked at and not run.
internal import CLoaderSupport
internal import LoaderEngine

/// Sections, symbols and relocations of a link.
public struct CheckResult: Sendable {
  public struct Section: Sendable {
    public var name: String
    /// The object it comes from.
    public var image: String
    /// Run-time address, and size in bytes.
    public var address: UInt64
    public var size: UInt64
    /// `r`, `w`, `x`, `t` (thread-local).
    public var flags: String
  }
  public struct Symbol: Sendable {
    public var name: String
    /// The body of a function, the place of data, the thread-pointer offset of thread-local data.
    public var address: UInt64
    public var size: UInt64
    /// `function`, `data`, `constant`, `tls`, `absolute`.
    public var kind: String
    /// `local`, `global`, `weak`.
    public var binding: String
    public var image: String
  }
  public var sections: [Section] = []
  public var symbols: [Symbol] = []
  public var relocations = 0
  public var undefined: [String] = []

  init(_ prepared: PreparedReload) {
    relocations = prepared.set.relocationCount
    undefined = prepared.set.undefined.map(\.name)
    for member in prepared.members {
      let linked = member.version.linked
      let object = linked.object
      for index in object.sections.indices where linked.roles[index] != .ignored {
        let section = object.sections[index]
        guard let address = linked.address(section: index, offset: 0) else { continue }
        sections.append(
          Section(
            name: object.name(ofSection: index).string, image: object.name, address: address,
            size: section.size,
            flags: "r" + (section.isWritable ? "w" : "") + (section.isExecutable ? "x" : "")
              + (section.isThreadLocal ? "t" : "")))
      }
      for index in 1..<max(object.symbols.count, 1) {
        let symbol = object.symbols[index]
        guard symbol.st_name != 0, symbol.type != UInt8(STT_FILE),
          let address = linked.address(ofSymbol: index),
          let kind = CheckResult.kind(linked.kind(ofSymbol: index))
        else { continue }
        if index >= object.firstGlobal,
          let winner = prepared.set.definition(of: linked.globalID(index)),
          winner.unit != linked.unit
        {
          continue
        }
        symbols.append(
          Symbol(
            name: object.name(ofSymbol: index).string, address: address, size: symbol.st_size,
            kind: kind,
            binding: index < object.firstGlobal
              ? "local" : symbol.isWeakBinding || symbol.binding == 10 ? "weak" : "global",
            image: object.name))
      }
    }
  }

  private static func kind(_ kind: Definition.Kind) -> String? {
    switch kind {
    case .none: nil
    case .function, .part: "function"
    case .data: "data"
    case .constant: "constant"
    case .threadLocal: "tls"
    case .absolute: "absolute"
    }
  }
}

// The result of a link as one JSON object. docs/check.md says what every member means; a test pins it.
import HotLink
import LoaderEngine

struct CheckJSON {
  /// Symbols whose bytes are shown.
  var dump: [String]

  func print(_ result: CheckResult, _ session: Session, _ defines: [DefinedSymbol]) {
    var members: [(String, JSON)] = [
      ("ok", .bool(true)),
      ("sections", .array(result.sections.map(section))),
      ("symbols", .array(result.symbols.map(symbol))),
      ("got", .array(result.got.map(entry))),
      ("got_start", .unsigned(result.gotStart)),
      ("stubs", .array(result.stubs.map(stub))),
      (
        "defines",
        .array(
          defines.map {
            .object([("symbol", .string($0.name)), ("address", .unsigned($0.address))])
          })
      ),
      (
        "imports",
        .array(
          result.imports.map {
            .object(
              [("symbol", .string($0.symbol))]
                + ($0.address.map { [("address", .unsigned($0))] } ?? []))
          })
      ),
      (
        "relaxed",
        .array(
          result.relaxed.map {
            .object([
              ("image", .string($0.image)), ("section", .count($0.section)),
              ("offset", .unsigned($0.offset)), ("form", .string($0.form)),
            ])
          })
      ),
      ("tls_block", .unsigned(result.threadBlock)),
      ("relocations", .count(result.relocations)),
      ("steps", .count(result.steps)),
      ("undefined", .strings(result.undefined)),
    ]
    if !dump.isEmpty {
      members.append(
        (
          "bytes",
          .object(
            dump.map { ($0, session.linkedBytes(of: $0).map { .bytes($0) } ?? .null) })
        ))
    }
    Reporter(json: true).emit(members)
  }

  private func section(_ section: CheckResult.Section) -> JSON {
    var members: [(String, JSON)] = [
      ("name", .string(section.name)), ("image", .string(section.image)),
      ("index", .count(section.index)),
      ("address", .unsigned(section.address)), ("size", .unsigned(section.size)),
      ("flags", .string(section.flags)),
    ]
    if section.isNoBits { members.append(("nobits", .bool(true))) }
    if let bytes = section.bytes { members.append(("bytes", .bytes(bytes))) }
    if !section.pieces.isEmpty {
      members.append(
        (
          "pieces",
          .array(
            section.pieces.map {
              .object([
                ("offset", .unsigned($0.offset)), ("size", .unsigned($0.size)),
                ("address", .unsigned($0.address)),
              ])
            })
        ))
    }
    return .object(members)
  }

  private func symbol(_ symbol: CheckResult.Symbol) -> JSON {
    .object(
      [
        ("name", .string(symbol.name)), ("address", .unsigned(symbol.address)),
        ("size", .unsigned(symbol.size)), ("kind", .string(symbol.kind)),
        ("binding", .string(symbol.binding)), ("image", .string(symbol.image)),
      ] + (symbol.index.map { [("index", .count($0))] } ?? []))
  }

  private func referred(_ referred: CheckResult.Referred) -> [(String, JSON)] {
    [("symbol", .string(referred.symbol))]
      + (referred.image.map { [("image", .string($0))] } ?? [])
      + (referred.index.map { [("index", .count($0))] } ?? [])
  }

  private func entry(_ entry: CheckResult.Entry) -> JSON {
    .object(
      referred(entry.referred) + [
        ("address", .unsigned(entry.address)), ("kind", .string(entry.kind)),
      ] + (entry.value.map { [("value", .unsigned($0))] } ?? []))
  }

  private func stub(_ stub: CheckResult.Stub) -> JSON {
    .object(
      referred(stub.referred) + [("address", .unsigned(stub.address))]
        + (stub.target.map { [("target", .unsigned($0))] } ?? []))
  }

  /// The facts of a refusal; null for one that has none of these.
  static func error(_ refusal: Refusal) -> JSON {
    guard case .link(let error) = refusal.reason else { return .null }
    switch error.reason {
    case .overflow(let site, let symbol, let value):
      return place(site, "overflow", symbol, [("value", .integer(value))])
    case .outOfReach(let site, let symbol, let address, let value):
      return place(
        site, "overflow", symbol, [("value", .integer(value)), ("address", .unsigned(address))])
    case .undefined(let symbols):
      return .object([("kind", .string("undefined")), ("symbols", .strings(symbols.map(\.name)))])
    case .conflicts(let conflicts):
      return .object([
        ("kind", .string("conflicts")),
        ("duplicates", .strings(conflicts.duplicates.map(\.symbol))),
        ("symbols", .strings(conflicts.undefined.map(\.name))),
      ])
    case .malformed(let structure, let offset, let detail):
      return .object([
        ("kind", .string("malformed")), ("structure", .string(structure)),
        ("offset", .unsigned(offset)), ("detail", .string(detail)),
      ])
    case .unsupported(let what, _):
      return .object([("kind", .string("unsupported")), ("what", .string(what))])
    default: return .null
    }
  }

  private static func place(
    _ site: LinkError.Site, _ kind: String, _ symbol: String, _ more: [(String, JSON)]
  ) -> JSON {
    .object(
      [
        ("kind", .string(kind)), ("symbol", .string(symbol)),
        ("relocation", .string(site.relocation)), ("file", .string(site.file)),
        ("section", .string(site.section)), ("offset", .unsigned(site.offset)),
      ] + more)
  }
}

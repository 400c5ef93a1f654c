// What came out of a link, for those who look at it: bytes of sections, and symbols that no object defines.
internal import Glibc

extension LinkedSet {
  /// Bytes that a section takes where it was placed; an unwind table is cut off at its first zero word.
  package func placedSize(_ linked: LinkedObject, _ section: Int) -> UInt64 {
    linked.roles[section] == .unwind
      ? linked.unwindSize(section) : linked.object.sections[section].size
  }

  /// The contents of a section after relocation; nil when it has none (SHT_NOBITS).
  package func bytes(_ linked: LinkedObject, _ section: Int) -> [UInt8]? {
    guard linked.roles[section] != .ignored, !linked.object.sections[section].isNoBits else {
      return nil
    }
    let size = Int(placedSize(linked, section))
    var bytes = [UInt8](repeating: 0, count: size)
    bytes.withUnsafeMutableBytes { copy in
      guard let to = copy.baseAddress else { return }
      if let table = linked.pieces[section] {
        for piece in table.pieces {
          guard let from = piece.place ?? space.arena.place(of: Address(piece.address)),
            piece.offset <= UInt64(size), piece.size <= UInt64(size) - piece.offset
          else { continue }
          memcpy(to + Int(piece.offset), from, Int(piece.size))
        }
      } else if let from = linked.places[section] {
        memcpy(to, from, size)
      }
    }
    return bytes
  }

  /// A symbol that objects refer to and none defines.
  package struct Outside: Sendable {
    package var name: String
    package var address: UInt64
    /// Of the process; otherwise made by the linker.
    package var isHost: Bool
    /// Its address is in the bytes of this link, and not only in the GOT or behind a stub.
    package var isDirect: Bool
  }

  /// In the order in which objects name them, once each.
  package func outsideSymbols() -> [Outside] {
    var seen: Set<SymbolID> = []
    var found: [Outside] = []
    let direct = directlyUsed()
    for (index, linked) in objects.enumerated() {
      let object = linked.object
      for symbol in object.firstGlobal..<object.symbols.count
      where object.place(ofSymbol: symbol) == .undefined {
        let target = targets[index][symbol]
        guard target.flags.isDisjoint(with: [.missing, .null, .discarded]) else { continue }
        let isHost = target.flags.contains(.host)
        let isMade = definition(of: target.id).map { $0.unit == .max } ?? !isHost
        guard isHost || isMade, seen.insert(target.id).inserted else { continue }
        found.append(
          Outside(
            name: object.name(ofSymbol: symbol).string, address: target.reference,
            isHost: isHost, isDirect: direct.contains(target.id)))
      }
    }
    return found
  }

  private func directlyUsed() -> Set<SymbolID> {
    var used: Set<SymbolID> = []
    for (index, linked) in objects.enumerated() {
      for list in linked.object.relocationSections
      where linked.roles[Int(linked.object.sections[list].info)] != .ignored {
        let relocations = linked.object.relocations(inSection: list)
        for number in 0..<relocations.count {
          let relocation = relocations[number]
          guard relocation.symbol < targets[index].count else { continue }
          let target = targets[index][relocation.symbol]
          guard target.flags.contains(.host), let row = X86_64.row(relocation.type) else {
            continue
          }
          switch row.formula {
          case .absolute, .pcRelative, .fromGOT, .branchFromGOT, .threadOffset:
            used.insert(target.id)
          case .branch where target.body == target.reference: used.insert(target.id)
          default: break
          }
        }
      }
    }
    return used
  }
}

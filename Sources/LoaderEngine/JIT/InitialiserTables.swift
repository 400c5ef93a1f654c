// What `.init_array`, `.ctors` and their like hold once they are linked. The words themselves are read: an entry may
// be any address, of this object or another. gABI, “Initialization and Termination Functions”.

extension LinkedObject {
  /// An entry of a table and its place among those of all objects.
  package typealias TableEntry = (priority: Int, address: UInt64)

  /// The functions that run when the object starts, in order.
  package func initialisers(_ arena: Arena) -> [TableEntry] {
    entries(arena) { $0 == .preinitArray || $0 == .initArray || $0 == .constructors }
  }

  /// The functions that run when it ends, in the order of their tables: the opposite of that in which
  /// they run.
  package func finalisers(_ arena: Arena) -> [TableEntry] {
    entries(arena) { $0 == .finiArray || $0 == .destructors }
  }

  private func entries(_ arena: Arena, _ isWanted: (SectionRole) -> Bool) -> [TableEntry] {
    guard roles.contains(where: isWanted) else { return [] }
    var found: [(priority: Int, section: Int, order: Int, address: UInt64)] = []
    for section in roles.indices where isWanted(roles[section]) {
      let count = Int(object.sections[section].size / 8)
      guard addresses[section] != 0,
        let bytes = arena.bytes(at: Address(addresses[section]), count: count * 8)
      else { continue }
      let isReversed = roles[section] == .constructors || roles[section] == .destructors
      let priority = InitialiserOrder.priority(object.name(ofSection: section))
      for index in 0..<count {
        let address = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[index * 8 + $1]) << ($1 * 8) }
        // 0 and −1 mark the ends of old tables.
        guard address != 0, address != .max else { continue }
        found.append((priority, section, isReversed ? -index : index, address))
      }
    }
    return found.sorted {
      ($0.priority, $0.section, $0.order) < ($1.priority, $1.section, $1.order)
    }.map { ($0.priority, $0.address) }
  }
}

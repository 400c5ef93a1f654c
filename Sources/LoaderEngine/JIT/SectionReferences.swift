// What a reference by section and offset really points at. The addend of a PC-relative reference from
// code is biased by the distance from the field to the end of its instruction; that of a jump table by
// the distance to the table's start.
internal import CLoaderSupport

/// Answers for the references of one object, for all of its sections.
final class SectionReferences {
  private let linked: LinkedObject
  private lazy var symbols = SymbolsBySection(linked.object)
  private var functions: [Int: [UInt64: Int]] = [:]
  private var starts: [Int: [UInt64]] = [:]
  private var maps: [Int: DataMap] = [:]
  private let walker = InstructionWalker()
  // The last instruction found, to go on from: relocations come in order.
  private var lastSection = -1
  private var lastStart: UInt64 = 0
  private var lastFunction: UInt64 = .max

  init(_ linked: LinkedObject) {
    self.linked = linked
  }

  /// The function that begins at an offset of a text section.
  func function(in section: Int, at offset: UInt64) -> Int? {
    if functions[section] == nil {
      var table: [UInt64: Int] = [:]
      for index in symbols[section] where linked.object.symbols[index].isFunction {
        // Of aliases the global one is the identity.
        let value = linked.object.symbols[index].st_value
        if let other = table[value], other >= index { continue }
        table[value] = index
      }
      functions[section] = table
    }
    return functions[section]?[offset]
  }

  /// The offset in a text section that a non-branching reference means; nil when it cannot be a
  /// function's address.
  func codeTarget(
    _ relocation: Elf64_Rela, _ formula: Formula, from section: Int, isText: Bool
  ) -> UInt64? {
    let a = UInt64(bitPattern: relocation.r_addend)
    // lea: the field ends the instruction
    if isText { return SectionReferences.countsFromField(formula) ? a &+ 4 : a }
    if !SectionReferences.countsFromField(formula) { return a }
    // A relative word in data: exact inside a named record, a jump table's otherwise.
    guard linked.object.isNamed[section] else { return nil }
    if maps[section] == nil {
      maps[section] = DataMap(linked.object, section: section, symbols: symbols[section])
    }
    guard let map = maps[section], let atom = map.index(of: relocation.r_offset),
      map.atoms[atom].symbol != nil
    else { return nil }
    return a
  }

  /// Whether a formula has a P in it, which processors count from behind the field.
  private static func countsFromField(_ formula: Formula) -> Bool {
    formula != .absolute && formula != .fromGOT && formula != .branchFromGOT
  }

  /// How far a reference's addend lies before the offset it means.
  func bias(
    _ relocation: Elf64_Rela, _ formula: Formula, from section: Int, role: SectionRole
  ) throws(LinkError) -> UInt64 {
    guard role == .text, formula == .pcRelative || formula == .branch else { return 0 }
    guard let bytes = linked.object.contents(ofSection: section) else { return 4 }
    if let length = X86_64.lengthFromDisplacement(bytes.base, relocation.r_offset) {
      return length
    }
    let code = UnsafeRawBufferPointer(start: bytes.base, count: bytes.count)
    let function = functionStart(section, relocation.r_offset)
    var from = function
    if lastSection == section, lastFunction == function, lastStart <= relocation.r_offset {
      from = lastStart
    }
    guard
      let instruction = walker.instruction(covering: relocation.r_offset, from: from, in: code),
      instruction.upperBound >= relocation.r_offset + 4
    else {
      throw LinkError(
        file: linked.object.name,
        .malformed(
          structure: "code in \(linked.object.name(ofSection: section).string)",
          offset: relocation.r_offset, detail: "no instruction can be decoded around it"))
    }
    lastSection = section
    lastFunction = function
    lastStart = instruction.lowerBound
    return instruction.upperBound - relocation.r_offset
  }

  /// The start of the function around an offset, or of the section.
  private func functionStart(_ section: Int, _ offset: UInt64) -> UInt64 {
    if starts[section] == nil {
      var found: Set<UInt64> = []
      for index in symbols[section] where linked.object.symbols[index].isFunction {
        found.insert(linked.object.symbols[index].st_value)
      }
      starts[section] = found.sorted()
    }
    let sorted = starts[section] ?? []
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle] <= offset { low = middle + 1 } else { high = middle }
    }
    return low > 0 ? sorted[low - 1] : 0
  }
}

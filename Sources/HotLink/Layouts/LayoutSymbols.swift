// The symbols of a unit by where they are: how an entry of debug data is found to be about one of them.
internal import CLoaderSupport
internal import LoaderEngine

/// Symbols by places.
struct LayoutSymbols {
  private var variables = WordTable<UInt64>()
  private var functions = WordTable<UInt64>()
  /// Names of data or functions that other units define.
  private(set) var undefined: Set<String> = []
  /// Variables that no compiler made up.
  private(set) var hasVariables = false

  init(_ source: LayoutSource, needsUndefined: Bool) {
    let capacity = min(source.symbols.count, 1 << 20)
    variables = WordTable(capacity: capacity / 2)
    functions = WordTable(capacity: capacity / 2)
    switch source {
    case .object(let object): read(object, needsUndefined)
    case .image(let image): read(image, source, needsUndefined)
    }
  }

  private mutating func read(_ object: ObjectFile, _ needsUndefined: Bool) {
    let roles = SectionRole.all(of: object)
    for index in 1..<max(object.symbols.count, 1) {
      let symbol = object.symbols[index]
      let number = Int32(truncatingIfNeeded: index)
      switch object.place(ofSymbol: index) {
      case .section(let section):
        let role = roles[section]
        let place = DebugPlace(section: section, offset: symbol.st_value)
        if role == .text {
          // Inline functions are compiled into each unit that calls them.
          // Debug data is about the function that chooses an IFUNC's body.
          if symbol.isFunction, symbol.binding == UInt8(STB_GLOBAL),
            symbol.type != UInt8(STT_GNU_IFUNC)
          {
            functions.set(place.word, number)
          }
        } else if role.isState || role.isThreadLocal,
          symbol.type == UInt8(STT_OBJECT) || symbol.isThreadLocal
        {
          variables.set(place.word, number)
          hasVariables = hasVariables || !object.name(ofSymbol: index).hasPrefix("_Z")
        }
      case .common:
        variables.set(DebugPlace(section: -1, offset: UInt64(index)).word, number)
      case .undefined:
        if needsUndefined, index >= object.firstGlobal {
          undefined.insert(object.name(ofSymbol: index).string)
        }
      case .absolute: break
      }
    }
  }

  private mutating func read(
    _ image: LayoutSource.LinkedImage, _ source: LayoutSource, _ needsUndefined: Bool
  ) {
    let sections = image.sections.sections
    for index in 1..<max(source.symbols.count, 1) {
      let symbol = source.symbols[index]
      guard let section = image.sections.section(ofSymbol: index) else {
        if needsUndefined, source.isGlobal(index), symbol.st_shndx == 0 {
          undefined.insert(source.name(ofSymbol: index).string)
        }
        continue
      }
      let number = Int32(truncatingIfNeeded: index)
      let place = DebugPlace(address: symbol.st_value, isThreadLocal: symbol.isThreadLocal)
      if symbol.isFunction {
        if symbol.binding == UInt8(STB_GLOBAL), sections[section].isExecutable,
          symbol.type != UInt8(STT_GNU_IFUNC)
        {
          functions.set(place.word, number)
        }
      } else if symbol.isThreadLocal
        || (symbol.type == UInt8(STT_OBJECT) && sections[section].isWritable)
      {
        // Of those at one place the first global one, so that two builds take the same.
        if variables[place.word] < 0 || (source.isGlobal(index) && !isGlobal(place, source)) {
          variables.set(place.word, number)
        }
        let name = source.name(ofSymbol: index)
        hasVariables = hasVariables || !(name.hasPrefix("_") || name == "completed.0")
      }
    }
  }

  private func isGlobal(_ place: DebugPlace, _ source: LayoutSource) -> Bool {
    source.isGlobal(Int(variables[place.word]))
  }

  /// -1: none.
  func variable(at place: DebugPlace) -> Int { Int(variables[place.word]) }
  /// -1: none.
  func function(at place: DebugPlace) -> Int { Int(functions[place.word]) }
}

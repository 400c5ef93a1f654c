// Which initialisers of a replaced library run: none again over variables that live; what is new is initialised by a
// function that touches nothing else, where the compiler made one. The rules are those of objects
// (State/InitialiserPlan.swift); what a function touches is read from its code.
internal import LoaderEngine

/// The initialisers of a library that replaces another build of itself.
struct LibraryInitialisers {
  /// Virtual addresses of functions to run, in order.
  private(set) var toRun: [UInt64] = []
  /// Names of those, and of edited ones that do not run.
  private(set) var verdicts: [Verdict] = []
  private let file: LibraryFile
  private let code: LibraryCode
  private let plan: LibraryPlan
  private let unit: String

  /// - Parameter changed: whether a function's body is another one than before.
  /// - Throws: `StateRefusal.needsReset`.
  init(
    _ file: LibraryFile, _ code: LibraryCode, _ plan: LibraryPlan, unit: String,
    old: LibraryFile, changed: (LibrarySymbol) -> Bool
  ) throws {
    (self.file, self.code, self.plan, self.unit) = (file, code, plan, unit)
    let before = Set(LibraryInitialisers.entries(of: old).map(\.key))
    var done: Set<UInt64> = []
    let helpers = file.functions.filter { LibraryInitialisers.isHelper($0.name) }
    // clang's helpers initialise one variable each; g++'s does them all.
    for helper in helpers where helper.name.hasPrefix("__cxx_global_var_init") {
      let touched = variables(of: helper)
      guard touched.contains(where: \.isFresh) else { continue }
      try demandAllNew(touched, helper)
      run(helper)
      done.formUnion(touched.map(\.start))
    }
    for entry in LibraryInitialisers.entries(of: file) {
      guard LibraryInitialisers.isDynamic(entry.name) else {
        // A constructor function: it is the program's own, and runs when it is new.
        if !before.contains(entry.key) { run(entry) }
        continue
      }
      let touched = variables(of: entry).filter { !done.contains($0.start) }
      guard touched.contains(where: \.isFresh) else { continue }
      try demandAllNew(touched, entry)
      run(entry)
    }
    for function in LibraryInitialisers.entries(of: file) + helpers
    where changed(function) && !toRun.contains(function.address) {
      verdicts.append(Verdict(unit: unit, symbol: function.name, fate: .initialiserNotRun))
    }
  }

  private mutating func run(_ function: LibrarySymbol) {
    toRun.append(function.address)
    verdicts.append(Verdict(unit: unit, symbol: function.name, fate: .initialised))
  }

  private func demandAllNew(_ touched: [LibraryPlan.Piece], _ function: LibrarySymbol) throws {
    guard touched.contains(where: { !$0.isFresh }),
      let fresh = touched.filter(\.isFresh).map(\.symbol.name).sorted().first
    else { return }
    throw StateRefusal(
      unit: unit, symbol: fresh, reason: .needsReset(initialiser: function.name))
  }

  /// The variables a function refers to, itself or through the compiler's helpers.
  private func variables(of function: LibrarySymbol) -> [LibraryPlan.Piece] {
    var found: [UInt64: LibraryPlan.Piece] = [:]
    var queue = [function.address]
    var seen: Set<UInt64> = []
    while let address = queue.popLast() {
      guard seen.insert(address).inserted, let stretch = code.stretch(at: address) else { continue }
      for index in stretch.references {
        let reference = code.references[index]
        if reference.kind == .branch {
          if let callee = file.function(at: reference.target),
            LibraryInitialisers.isHelper(callee.name)
          {
            queue.append(callee.address)
          }
          continue
        }
        guard let piece = piece(reference), !piece.isConstant,
          !piece.symbol.name.hasPrefix("_ZGV"), piece.symbol.name != "__dso_handle"
        else { continue }
        found[piece.start] = piece
      }
    }
    return found.values.sorted { $0.start < $1.start }
  }

  /// The variable a displacement leads to, also through the GOT.
  private func piece(_ reference: CodeReference) -> LibraryPlan.Piece? {
    guard reference.kind == .access, let word = file.words[reference.target] else {
      return plan.piece(at: reference.target)
    }
    switch word.target {
    case .own(let address): return plan.piece(at: address)
    case .symbol(let index, _):
      let key = LibrarySymbol.Key(name: file.dynamicName(index), ordinal: 0, isLocal: false)
      return plan.home(of: key).flatMap { plan.piece(at: $0.address) }
    }
  }

  /// The functions that DT_INIT_ARRAY names, in order.
  private static func entries(of file: LibraryFile) -> [LibrarySymbol] {
    file.initialiserTables(ofType: 14).flatMap { table in
      stride(from: table.lowerBound, to: table.upperBound, by: 8).compactMap { place in
        guard case .own(let address)? = file.words[place]?.target else { return nil }
        return file.function(at: address)
      }
    }
  }

  /// Whether a compiler made it to initialise variables, as opposed to a constructor of the program.
  private static func isDynamic(_ name: String) -> Bool {
    name.hasPrefix("_GLOBAL__sub_I") || name.hasPrefix("_GLOBAL__I_") || isHelper(name)
  }

  private static func isHelper(_ name: String) -> Bool {
    name.hasPrefix("__cxx_global_var_init")
      || name.hasPrefix("_Z41__static_initialization_and_destruction_0")
  }
}

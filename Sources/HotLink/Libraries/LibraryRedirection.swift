// What a displacement in a library's code, or a word of its data, shall lead to: a variable where it lives, a
// function's stub, or what it says. An address at the edge of a variable may mean its end or its neighbour's
// start; where the two lead to different places and both are plausible, nothing is guessed.
internal import LoaderEngine

/// Decides about references of one version of a library.
struct LibraryRedirection {
  let file: LibraryFile
  let code: LibraryCode
  let plan: LibraryPlan

  /// What an address of data means.
  enum Meaning {
    /// Nothing else than it says.
    case itself
    /// In a piece, at its end, or a little before it: all of it is led to where it is.
    case data(LibraryPlan.Piece)
    /// One of two: the library cannot be redirected with both where they are.
    case ambiguous(LibraryPlan.Piece, LibraryPlan.Piece)
    /// State that no symbol names.
    case unnamed(section: Int)
  }

  /// - Parameter uses: whether the function takes addresses in a piece, its ends included.
  func meaning(
    of target: UInt64, isAddress: Bool, uses: (LibraryPlan.Piece) -> Bool
  ) -> Meaning {
    let piece = plan.piece(at: target)
    guard isAddress else {
      if let piece { return .data(piece) }
      return unnamed(target)
    }
    // Loops that go down end one element before their array.
    if let next = plan.next(after: target), next.start - target <= 16,
      next.size >= 2 * (next.start - target),
      piece == nil || distance(next) != piece?.distance, uses(next)
    {
      if let piece { return .ambiguous(piece, next) }
      if let before = plan.ends(at: target), before.distance != next.distance, uses(before) {
        return .ambiguous(before, next)
      }
      // Before a constant there may be a literal; before a variable only another variable.
      guard next.isConstant else { return .data(next) }
      if next.distance != plan.bias { return .ambiguous(next, next) }
    }
    guard let before = plan.ends(at: target), distance(before) != distance(piece) else {
      if let piece { return .data(piece) }
      return plan.ends(at: target).map { .data($0) } ?? unnamed(target)
    }
    guard before.size > 1, uses(before) else {
      if let piece { return .data(piece) }
      // Behind a constant there may be a literal; behind a variable only another variable.
      if before.isConstant { return .itself }
      return isPadding(target) ? .data(before) : unnamed(target)
    }
    if let piece { return .ambiguous(before, piece) }
    return before.isConstant ? .ambiguous(before, before) : .data(before)
  }

  private func distance(_ piece: LibraryPlan.Piece?) -> UInt64 { piece?.distance ?? plan.bias }

  /// Whether so little lies between the end of a variable and what follows that it is nobody's.
  private func isPadding(_ target: UInt64) -> Bool {
    guard let index = file.stateSection(of: target) else { return true }
    let section = file.sections.sections[index]
    var end = section.address &+ section.size
    if let next = plan.next(after: target) { end = min(end, next.start) }
    return end - target < 32
  }

  private func unnamed(_ target: UInt64) -> Meaning {
    guard let section = file.stateSection(of: target), !file.edges.contains(target),
      target != code.runtimeFlag
    else { return .itself }
    return .unnamed(section: section)
  }

  /// The meaning of a displacement of a function.
  func meaning(of reference: CodeReference, in stretch: LibraryCode.Stretch) -> Meaning {
    meaning(of: reference.target, isAddress: reference.kind == .address) { piece in
      stretch.references.contains { index in
        let other = code.references[index]
        return other.kind == .address && other.field != reference.field
          && other.target >= piece.start && other.target <= piece.end
          && other.target != reference.target
      }
    }
  }

  /// The meaning of a word that holds an address; only the words beside it tell more.
  func meaning(of target: UInt64, at place: UInt64) -> Meaning {
    let position = file.words.first(from: place)
    let words = file.words.words
    return meaning(of: target, isAddress: true) { piece in
      words[max(0, position - 4)..<min(words.count, position + 5)].contains { word in
        guard case .own(let other) = word.target, word.place != place else { return false }
        return other >= piece.start && other < piece.end && other != target
      }
    }
  }

  /// Constants that cannot stay where they are, because code walks over an edge of theirs.
  ///
  /// - Throws: `LinkError.ambiguous` for variables, which must; `StateRefusal`.
  func unkeepable() throws -> Set<LibrarySymbol.Key> {
    var found: Set<LibrarySymbol.Key> = []
    func note(_ meaning: Meaning, _ site: @autoclosure () -> LinkError.Site) throws {
      switch meaning {
      case .itself, .data: return
      case .unnamed(let section):
        throw StateRefusal(
          unit: file.name, symbol: file.sections.name(ofSection: section).string,
          reason: .unnamedState(bytes: plan.unnamedBytes(of: section, file)))
      case .ambiguous(let first, let second):
        let constants = [first, second].filter { $0.isConstant && $0.isKept }
        guard constants.isEmpty else { return found.formUnion(constants.map(\.symbol.key)) }
        throw LinkError(
          file: file.name,
          .ambiguous(
            site(), section: second.symbol.section,
            candidates: [first.symbol.name, second.symbol.name]))
      }
    }
    for stretch in code.stretches {
      for index in stretch.references {
        let reference = code.references[index]
        guard reference.kind != .branch, !file.isExecutable(reference.target) else { continue }
        try note(meaning(of: reference, in: stretch), site(reference))
      }
    }
    for word in file.words.words {
      guard case .own(let target) = word.target, !file.isExecutable(target) else { continue }
      try note(
        meaning(of: target, at: word.place),
        LinkError.Site(
          file: file.name, section: ".data", offset: word.place, relocation: "R_X86_64_RELATIVE"))
    }
    return found
  }

  /// A section with state that code refers to and no symbol names; nil: there is none.
  var unnamedSection: Int? {
    for stretch in code.stretches {
      for index in stretch.references where code.references[index].kind != .branch {
        if case .unnamed(let section) = meaning(of: code.references[index], in: stretch) {
          return section
        }
      }
    }
    return nil
  }

  func site(_ reference: CodeReference) -> LinkError.Site {
    LinkError.Site(
      file: file.name, section: ".text", offset: reference.field, relocation: "displacement")
  }

  /// Where an address of data leads in the program; nil: where it says.
  func address(_ meaning: Meaning, of target: UInt64) -> UInt64? {
    guard case .data(let piece) = meaning else { return nil }
    return piece.home &+ (target &- piece.start)
  }
}

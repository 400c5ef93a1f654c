// Differences as facts: where they are, seen from the variable, and which two layouts they are between.
internal import LoaderEngine

extension LayoutComparison {
  func tell(_ found: Found) -> LayoutDifference {
    let step = steps[found.step]
    let home = home(of: found)
    let what: LayoutDifference.What =
      switch found.what {
      case .done(let what): what
      case .retyped(let a, let b): .retyped(from: old.name(of: a), to: new.name(of: b))
      }
    let name = found.name?.string ?? ""
    var path = path(of: found.step)
    if found.isWhole, path.hasSuffix("->") { path.removeLast(2) }
    if found.part != .type, !found.isWhole, !name.isEmpty {
      path += path.hasSuffix("->") ? name : "." + name
    }
    return LayoutDifference(
      path: path, part: found.part, name: name, what: what,
      old: LayoutText.layout(steps[home].old, old), new: LayoutText.layout(steps[home].new, new),
      isBehindPointer: step.isBehindPointer)
  }

  /// The innermost type with parts around a difference.
  private func home(of found: Found) -> Int {
    var index = found.step
    while steps[index].parent >= 0 {
      switch old[steps[index].old].shape {
      case .record, .union, .enumeration, .function:
        if !(found.isWhole && index == found.step) { return index }
      default: break
      }
      index = steps[index].parent
    }
    return index
  }

  private func path(of step: Int) -> String {
    var parts: [String] = []
    var index = step
    while index >= 0 {
      let step = steps[index]
      switch step.link {
      case .root: break
      case .pointee: parts.append("->")
      case .element: parts.append("[]")
      case .result: parts.append(" result")
      case .derived(let name): parts.append("(\(name?.string ?? ""))")
      case .parameter(let number): parts.append(" parameter \(number + 1)")
      case .member(let name):
        let aim = old[step.old]
        parts.append("." + (name?.string ?? aim.name.map { $0.string } ?? "(anonymous)"))
      }
      index = step.parent
    }
    return parts.reversed().joined().replacing("->.", with: "->")
  }
}

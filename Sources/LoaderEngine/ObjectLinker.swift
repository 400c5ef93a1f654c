// FLOW 2: relocatable objects become running code.
//
//     graph    which object defines which symbol; COMDAT groups without an owner here fall away
//     prune    what the roots do not lead to falls away, when that is asked for
//     lay out  every section gets its place, unless the reload runtime has given it one
//     resolve  every symbol of every object becomes a target, once
//     fix up   bytes are copied and every relocation applied
//     seal     code becomes executable, unwind tables are complete
//
// Nothing that runs is touched: old bodies, slots, GOT entries and variables change only when the
// result is published. A throw drops the result, and its deinit gives all space back.

/// Links relocatable objects.
package enum ObjectLinker {
  /// Links objects against what `table` defines and the process provides.
  ///
  /// - Parameters:
  ///   - inputs: the objects, in the order that decides between weak definitions.
  ///   - table: the generation to link against, without the symbols of units being replaced.
  /// - Throws: `LinkError`; nothing has changed then.
  package static func link(
    _ inputs: [LinkInput], against table: SymbolTable, in space: LinkSpace,
    options: LinkOptions = LinkOptions()
  ) throws(LinkError) -> LinkedSet {
    let set = LinkedSet(inputs, table, space, options)
    try set.buildGraph()
    // GATE: every symbol has one owner.
    try set.prune()
    try set.layOut()
    // GATE: addresses are final.
    set.tellPlaces()
    try set.resolve()
    try set.resolveFarReferences()
    try set.fixUp()
    // GATE: no undefined symbol is left that must be there, and no unwind table that is not sound.
    try set.seal()
    return set
  }
}

// The order of initialisers over all objects of a link: by the number in their section's name.
// gABI, “Initialization and Termination Functions”; GCC, `init_priority`.

package enum InitialiserOrder {
  /// `.preinit_array`: before everything else.
  package static let first = -1
  /// Of functions without a number.
  package static let last = 65536

  /// `.init_array.00200` → 200; without a number last. `.ctors.65335` counts the other way round.
  package static func priority(_ section: NameView) -> Int {
    let name = section.string
    if name.hasPrefix(".preinit_array") { return first }
    guard let dot = name.lastIndex(of: "."), let number = Int(name[name.index(after: dot)...])
    else { return last }
    return name.hasPrefix(".ctors") || name.hasPrefix(".dtors") ? 65535 - number : number
  }
}

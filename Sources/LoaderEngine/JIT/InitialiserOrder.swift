// The order of initialisers over all objects of a link: by the number in their section's name.
// gABI, “Initialization and Termination Functions”; GCC, `init_priority`.

package enum InitialiserOrder {
  /// Of functions without a number.
  package static let last = 65536

  /// `.init_array.00200` → 200; without a number last. `.ctors.65335` counts the other way round.
  package static func priority(_ section: NameView) -> Int {
    let name = section.string
    guard let dot = name.lastIndex(of: "."), let number = Int(name[name.index(after: dot)...])
    else { return last }
    return name.hasPrefix(".ctors") ? 65535 - number : number
  }
}

// Initialisers and finalisers of an image, in ld.so's order: DT_PREINIT_ARRAY of an executable, DT_INIT, then DT_INIT_ARRAY upwards; DT_FINI_ARRAY
// downwards, then DT_FINI. Words of 0 and -1 are skipped. gABI, “Initialization and Termination Functions”.

extension MappedImage {
  /// Every function that will be called is code of this image or of the process.
  ///
  /// - Throws: `LinkError.malformed`.
  func checkInitialisers() throws(LinkError) {
    func check(_ virtual: UInt64, _ what: String) throws(LinkError) {
      guard virtual == 0 || provider.view.isExecutable(virtual) else {
        throw LinkError(
          file: name,
          .malformed(structure: what, offset: virtual, detail: "is no code of this image"))
      }
    }
    try check(provider.entries.initialiser, "DT_INIT")
    try check(provider.entries.finaliser, "DT_FINI")
    try checkFunctions(provider.entries.preinitialisers, "DT_PREINIT_ARRAY")
    try checkFunctions(provider.entries.initialisers, "DT_INIT_ARRAY")
    try checkFunctions(provider.entries.finalisers, "DT_FINI_ARRAY")
  }

  private func checkFunctions(_ table: DynamicEntries.Table, _ what: String) throws(LinkError) {
    guard !table.isEmpty else { return }
    guard provider.view.pointer(table.address, table.size) != nil else {
      throw LinkError(
        file: name,
        .malformed(structure: what, offset: table.address, detail: "leaves the loaded segments"))
    }
    try forEachFunction(table) { (function) throws(LinkError) in
      if provider.view.isExecutable(function.value &- provider.bias) { return }
      if options.binder?.isCode(function) == true { return }
      let other =
        HostImages.current().image(at: function) ?? LiveImages.image(at: function)?.provider
      guard other?.isCode(function.value) == true else {
        throw LinkError(
          file: name,
          .malformed(structure: what, offset: table.address, detail: "\(function) is no code"))
      }
    }
  }

  /// Visits the functions a relocated table names, in its order or from its end.
  private func forEachFunction<E: Error>(
    _ table: DynamicEntries.Table, backwards: Bool = false, _ body: (Address) throws(E) -> Void
  ) throws(E) {
    guard !table.isEmpty, let start = provider.view.pointer(table.address, table.size) else {
      return
    }
    let count = Int(table.size / 8)
    for index in 0..<count {
      let word = (start + (backwards ? count - 1 - index : index) * 8)
        .loadUnaligned(as: UInt64.self)
      if word != 0, word != UInt64.max { try body(Address(word)) }
    }
  }

  /// gABI: DT_PREINIT_ARRAY, of an executable, before all other initialisers.
  func runPreinitialisers(_ arguments: ArgumentVector?) {
    guard isExecutable else { return }
    forEachFunction(provider.entries.preinitialisers) {
      LinkedCode.initialise($0, arguments ?? ArgumentVector.ofProcess)
    }
  }

  func runInitialisers(_ arguments: ArgumentVector?) {
    let arguments = arguments ?? ArgumentVector.ofProcess
    if provider.entries.initialiser != 0 {
      LinkedCode.initialise(address(provider.entries.initialiser), arguments)
    }
    forEachFunction(provider.entries.initialisers) { LinkedCode.initialise($0, arguments) }
  }

  func runFinalisers() {
    forEachFunction(provider.entries.finalisers, backwards: true) { LinkedCode.call($0) }
    if provider.entries.finaliser != 0 { LinkedCode.call(address(provider.entries.finaliser)) }
  }
}

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
    for (table, what) in [
      (provider.entries.preinitialisers, "DT_PREINIT_ARRAY"),
      (provider.entries.initialisers, "DT_INIT_ARRAY"),
      (provider.entries.finalisers, "DT_FINI_ARRAY"),
    ] where !table.isEmpty {
      guard provider.view.pointer(table.address, table.size) != nil else {
        throw LinkError(
          file: name,
          .malformed(
            structure: what, offset: table.address, detail: "leaves the loaded segments"))
      }
      for function in functions(table)
      where !provider.view.isExecutable(function.value &- provider.bias)
        && options.binder?.isCode(function) != true
      {
        let other =
          HostImages.current().image(at: function) ?? LiveImages.image(at: function)?.provider
        guard other?.isCode(function.value) == true else {
          throw LinkError(
            file: name,
            .malformed(
              structure: what, offset: table.address, detail: "\(function) is no code"))
        }
      }
    }
  }

  /// The functions a relocated table names, in order.
  private func functions(_ table: DynamicEntries.Table) -> [Address] {
    guard !table.isEmpty, let start = provider.view.pointer(table.address, table.size) else {
      return []
    }
    var found: [Address] = []
    for index in 0..<Int(table.size / 8) {
      let word = (start + index * 8).loadUnaligned(as: UInt64.self)
      if word != 0, word != UInt64.max { found.append(Address(word)) }
    }
    return found
  }

  /// gABI: DT_PREINIT_ARRAY, of an executable, before all other initialisers.
  func runPreinitialisers(_ arguments: ArgumentVector?) {
    guard isExecutable else { return }
    for function in functions(provider.entries.preinitialisers) {
      LinkedCode.initialise(function, arguments ?? ArgumentVector.ofProcess)
    }
  }

  func runInitialisers(_ arguments: ArgumentVector?) {
    let arguments = arguments ?? ArgumentVector.ofProcess
    if provider.entries.initialiser != 0 {
      LinkedCode.initialise(address(provider.entries.initialiser), arguments)
    }
    for function in functions(provider.entries.initialisers) {
      LinkedCode.initialise(function, arguments)
    }
  }

  func runFinalisers() {
    for function in functions(provider.entries.finalisers).reversed() { LinkedCode.call(function) }
    if provider.entries.finaliser != 0 { LinkedCode.call(address(provider.entries.finaliser)) }
  }
}

// What compilers' drivers add to every link without being asked: gcc's libgcc.a, which has what no shared object exports
// (`__cpu_model`, half and quadruple precision), tcc's libtcc1.a (`__va_arg`), and what rustc makes when it links.
internal import CLoaderSupport
internal import LoaderEngine
internal import SystemPackage

enum CompilerRuntime {
  /// The newest gcc's libgcc.a and tcc's libtcc1.a, those that are there.
  static let archives: [UnitFile] = {
    let folder = "/usr/lib/gcc/x86_64-linux-gnu"
    let versions = HostProcess.files(in: folder).compactMap(Int.init).sorted(by: >)
    let newest = versions.prefix(1).map { "\(folder)/\($0)/libgcc.a" }
    return (newest + ["/usr/lib/x86_64-linux-gnu/tcc/libtcc1.a"]).compactMap { name in
      let path = FilePath(name)
      guard let contents = try? FileContents(reading: path) else { return nil }
      return try? UnitReader.parse(Bytes(contents), path: path)
    }
  }()

  /// Names that a linker makes and no archive has.
  static func isLinkers(_ name: NameView) -> Bool {
    name == "__dso_handle" || name == "__ehdr_start" || name == "__tls_get_addr"
      || name.hasPrefix("__start_") || name.hasPrefix("__stop_") || name == "__bss_start"
      || name.hasSuffix("_array_start") || name.hasSuffix("_array_end")
  }
}

extension Program {
  /// Adds what a driver would: names of the compilers' own that are asked for and that nobody has.
  func pullCompilerRuntime(into inputs: inout ChangeSet, _ table: SymbolTable) throws {
    var known = -1
    while known != inputs.objects.count {
      known = inputs.objects.count
      try pullCompilerRuntimeOnce(into: &inputs, table)
    }
  }

  private func pullCompilerRuntimeOnce(into inputs: inout ChangeSet, _ table: SymbolTable) throws {
    var asked: [SymbolID: String] = [:]
    for object in inputs.objects {
      object.forEachReserved { _, name in
        guard
          name.hasPrefix("__") && !CompilerRuntime.isLinkers(name) || RustAllocation.covers(name)
        else { return }
        asked[space.names.intern(name)] = name.string
      }
    }
    asked = asked.filter { id, _ in
      table[id] == nil && space.host.find(id, space.names[id]) == nil
        && space.host.findThreadLocal(id, space.names[id]) == nil
    }
    guard !asked.isEmpty else { return }
    for object in inputs.objects {
      for index in object.firstGlobal..<object.symbols.count
      where object.place(ofSymbol: index) != .undefined {
        if let id = space.names.find(object.name(ofSymbol: index).string) { asked[id] = nil }
      }
    }
    let functions = asked.values.filter { RustAllocation.covers(named: $0) }.sorted()
    let unit = functions.isEmpty ? nil : makeUnit(RustAllocation.unitName)
    if let unit, !inputs.contains(unit) {
      inputs.add(unit, try RustAllocation.object(defining: functions))
    }
    if asked.count > functions.count {
      for archive in CompilerRuntime.archives { archives.offer(archive) }
    }
    if !asked.isEmpty { pullMembers(into: &inputs) }
  }
}

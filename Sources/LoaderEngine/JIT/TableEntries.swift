// Entries of the GOT that relocations ask for: made at first use, filled by what they are for.
internal import CLoaderSupport

extension FixUp {
  func entry(_ relocation: Elf64_Rela, _ use: GlobalOffsetTable.Use, _ s: UInt64?)
    throws(LinkError) -> UInt64
  {
    let target = targets[relocation.symbol]
    var id = target.id
    if s == nil {
      id = space.moduleID
    } else if id == .none {
      id = space.localID(
        unit: linked.unit, name: linked.object.name(ofSymbol: relocation.symbol).string,
        ordinal: relocation.symbol)
    }
    let (entry, isNew) = try space.got.entry(id, use)
    switch use {
    case .address:
      if isNew {
        space.got.set(entry, s ?? 0)
      } else if target.id == .none || s == target.reference, space.got.value(entry) != s ?? 0 {
        set.changeEntry(entry, s ?? 0)
      }
    case .threadOffset:
      guard !target.flags.contains(.dynamicThreadLocal) else { throw needsStaticBlock(relocation) }
      space.got.set(entry, s ?? 0)
    case .moduleOffset where s != nil && target.flags.isSuperset(of: [.host, .threadLocal]):
      let variable = space.host.findThreadLocal(target.id, space.names[target.id])
      space.got.set(entry, word: 0, variable?.module ?? 0)
      space.got.set(entry, word: 1, variable?.offset ?? 0)
    case .moduleOffset:
      guard let module = space.threadStorage.module else {
        throw LinkError(
          file: linked.object.name,
          .unsupported(
            what: "general-dynamic thread-local access",
            help: "the process's loader does not tell its TLS modules"))
      }
      space.got.set(entry, word: 0, module.id)
      space.got.set(entry, word: 1, s.map(moduleOffset) ?? 0)
    case .descriptor:
      guard !target.flags.contains(.dynamicThreadLocal) else { throw needsStaticBlock(relocation) }
      space.got.set(entry, word: 0, UInt64(UInt(bitPattern: hl_tls_descriptor())))
      space.got.set(entry, word: 1, s ?? 0)
    }
    return entry.value
  }

  func moduleOffset(_ s: UInt64) -> UInt64 {
    s &- space.threadStorage.base &+ (space.threadStorage.module?.offset ?? 0)
  }
}

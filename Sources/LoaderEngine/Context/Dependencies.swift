// What an image needs, breadth-first: each DT_NEEDED becomes an image of the group, one that the context has
// already, or one of the process. System libraries come from the process's own loader, never as a second
// copy. Linux: ld.so(8).
internal import SystemPackage

/// Gathers the images of a load.
package struct Dependencies {
  private enum Member {
    case own(Int)
    case existing(MappedImage, ImageGroup)
    case host(SymbolProvider)
  }

  private let context: LinkContext
  private let group: ImageGroup
  private let options: ImageOptions
  private var candidates: [ImageSource]
  private var host = HostImages.current()
  /// In the order of lookup.
  private var members: [Member] = []

  package init(
    _ context: LinkContext, _ group: ImageGroup, _ options: ImageOptions,
    _ candidates: [ImageSource] = []
  ) {
    self.context = context
    self.group = group
    self.options = options
    self.candidates = candidates
  }

  /// Everything the first image of the group needs, mapped.
  ///
  /// - Throws: `LinkError`: a library that is found nowhere, or cannot be mapped.
  package mutating func gather() throws(LinkError) {
    lookAtHost()
    members = [.own(0)]
    var next = 0
    while next < members.count {
      let member = members[next]
      next += 1
      let provider = self.provider(member)
      for index in 0..<provider.entries.needed.count {
        guard let name = provider.neededName(index) else {
          if provider.isHost { continue }
          throw LinkError(
            file: provider.name,
            .malformed(
              structure: "DT_NEEDED", offset: UInt64(provider.entries.needed[index]),
              detail: "its name leaves the string table"))
        }
        try add(name, for: member, provider)
      }
    }
  }

  /// All images that references are looked up in, without those that every image sees anyway.
  package func localScope() -> Scope {
    var providers: [SymbolProvider] = []
    for member in members {
      let provider = self.provider(member)
      if provider.isHost, host.global.providers.contains(where: { $0 === provider }) { continue }
      providers.append(provider)
    }
    return Scope(providers)
  }

  /// What the process's images see.
  package var globalScope: Scope { host.global }
  /// Every image of the load, for the check of versions.
  package var providers: [SymbolProvider] { members.map { provider($0) } }

  private func provider(_ member: Member) -> SymbolProvider {
    switch member {
    case .own(let index): group.images[index].provider
    case .existing(let image, _): image.provider
    case .host(let provider): provider
    }
  }

  private mutating func add(_ name: NameView, for member: Member, _ needer: SymbolProvider)
    throws(LinkError)
  {
    if let known = members.firstIndex(where: { provider($0).isNamed(name) }) {
      return link(member, to: members[known])
    }
    if context.options.isProvided(name) { return }
    if needer.isHost {
      // What the process's loader did not need to load, we do not either.
      if let provider = host.image(named: name) { members.append(.host(provider)) }
      return
    }
    let found = try locate(name, needer)
    link(member, to: found)
    members.append(found)
  }

  private func link(_ member: Member, to other: Member) {
    guard case .own(let from) = member, case .own(let to) = other, from != to else { return }
    group.edges[from].append(to)
  }

  private mutating func locate(_ name: NameView, _ needer: SymbolProvider) throws(LinkError)
    -> Member
  {
    if let index = try candidate(named: name) {
      return try map(candidates.remove(at: index), for: needer)
    }
    for existing in context.liveGroups {
      for image in existing.images where image.provider.isNamed(name) {
        return hold(image, of: existing)
      }
    }
    if let provider = host.image(named: name), let member = hold(provider) { return member }
    var search = LibrarySearch(name.string, needer, context.options)
    while let next = search.next() {
      guard case .success(let source) = next else { continue }
      if let known = known(source.identity) { return known }
      do { return try map(source, for: needer) } catch {
        // A library for another machine is passed over, as ld.so does.
        if case .otherMachine = error.reason { continue }
        throw error
      }
    }
    if context.options.opensSystemLibraries {
      switch HostImages.open(name.string) {
      case .success(let handle):
        group.holds.append(handle)
        lookAtHost()
        if let provider = host.image(named: name) { return .host(provider) }
      case .failure(let failure): search.note(failure.message)
      }
    }
    throw LinkError(
      file: needer.name, .missingLibrary(name: name.string, searched: search.tried))
  }

  private mutating func map(_ source: ImageSource, for needer: SymbolProvider) throws(LinkError)
    -> Member
  {
    let image = try MappedImage.open(
      source, kind: .sharedObject, by: context.options.mapper, options)
    image.provider.loader = needer
    group.append(image)
    return .own(group.images.count - 1)
  }

  private func hold(_ image: MappedImage, of existing: ImageGroup) -> Member {
    if !group.dependencies.contains(where: { $0 === existing }) {
      group.dependencies.append(existing)
    }
    return .existing(image, existing)
  }

  /// nil when another thread has had it unloaded.
  private func hold(_ provider: SymbolProvider) -> Member? {
    if host.isPermanent(provider) { return .host(provider) }
    guard let handle = HostImages.handle(provider) else { return nil }
    group.holds.append(handle)
    return .host(provider)
  }

  /// What the process has now; the images will look symbols up in what every image sees, so that stays.
  private mutating func lookAtHost() {
    for _ in 0..<100 {
      host = HostImages.current()
      if let handles = host.holdGlobal() {
        group.holds += handles
        return
      }
      HostImages.refresh()
    }
  }

  /// The same file under another name.
  private func known(_ identity: ImageSource.FileIdentity?) -> Member? {
    guard let identity else { return nil }
    if let index = group.images.firstIndex(where: { $0.identity == identity }) {
      return .own(index)
    }
    return context.image(from: identity).map { hold($0.image, of: $0.group) }
  }

  /// Whether a name is all of a path, or its last parts.
  private func isPath(_ path: String, named name: NameView) -> Bool {
    let path = path.utf8
    guard path.count >= name.count else { return false }
    var at = path.index(path.startIndex, offsetBy: path.count - name.count)
    if at != path.startIndex, path[path.index(before: at)] != UInt8(ascii: "/") { return false }
    for index in 0..<name.count {
      if path[at] != name[index] { return false }
      at = path.index(after: at)
    }
    return true
  }

  private func candidate(named name: NameView) throws(LinkError) -> Int? {
    if let index = candidates.firstIndex(where: { isPath($0.name, named: name) }) { return index }
    for (index, source) in candidates.enumerated() {
      let headers = try ImageHeaders(source)
      let contents = try source.contents()
      guard let dynamic = headers.dynamic,
        let provider = try? SymbolProvider(
          dynamic, SegmentView(headers, in: contents), name: source.name, bias: 0,
          range: AddressRange(start: Address(0), size: headers.size), isHost: false)
      else { continue }
      let isMatch = provider.soname.map { $0 == name } ?? false
      withExtendedLifetime(contents) {}
      if isMatch { return index }
    }
    return nil
  }
}

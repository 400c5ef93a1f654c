// Images that were loaded by one request. They are relocated together, initialised in the order of their
// dependencies, and go together: a circle of libraries that need each other is then no circle of references.
internal import CLoaderSupport
internal import Glibc
internal import Synchronization

/// A group of images, in the making and alive. Dropping it runs finalisers and unmaps.
package final class ImageGroup: @unchecked Sendable {
  // Changed by the thread that makes the group, one after the other: nothing here calls back while it is written.
  /// In the order of lookup: breadth-first from the one that was asked for.
  @exclusivity(unchecked) package private(set) var images: [MappedImage] = []
  /// Groups that these images refer to, and holds on libraries of the process.
  @exclusivity(unchecked) package var dependencies: [ImageGroup] = []
  @exclusivity(unchecked) package var holds: [HostHandle] = []
  /// For each image, the images of this group it needs.
  @exclusivity(unchecked) package var edges: [[Int]] = []
  /// What references are looked up in: shared by all images of the group.
  @exclusivity(unchecked) package internal(set) var localScope = Scope.empty
  private let memberScopes = Mutex<[ObjectIdentifier: Scope]>([:])

  @exclusivity(unchecked) private var indirect: [IndirectReference] = []
  private let arguments: ArgumentVector?
  /// Images whose initialisers have run, in that order.
  @exclusivity(unchecked) private var started: [Int] = []
  private let finishing = Mutex<Bool>(false)
  /// Held while initialisers run, as ld.so holds its own: nobody gets a library whose initialisers another thread is running.
  private static let starting: ProcessLock = {
    let lock = startingLock
    _ = pthread_atfork(nil, nil) { ImageGroup.startingLock.renewAfterFork() }
    return lock
  }()
  /// The same one, made before there is a handler: another thread may fork at any time.
  private static let startingLock = ProcessLock()
  private let hasBegun = Atomic(false)
  private let isReady = Atomic(false)
  @exclusivity(unchecked) package private(set) var relocationCount = 0
  /// Words that were left alone because resolvers do not run.
  @exclusivity(unchecked) package private(set) var unresolvedIndirectCount = 0

  package init(arguments: ArgumentVector?) { self.arguments = arguments }

  package func append(_ image: MappedImage) {
    images.append(image)
    edges.append([])
  }

  // MARK: the steps of a load

  /// Every version that an image needs of a library is one that the library defines.
  ///
  /// - Throws: `LinkError.missingVersion`.
  package func checkVersions(in providers: [SymbolProvider]) throws(LinkError) {
    for image in images {
      for need in image.provider.versions?.needs ?? [] where !need.isWeak {
        // A library without any version definitions serves all: it was built without them.
        guard let library = providers.first(where: { $0.isNamed(need.file) }),
          let versions = library.versions, versions.defines, !versions.defines(need.version)
        else { continue }
        throw LinkError(
          file: image.name,
          .missingVersion(version: need.version.text, library: library.name))
      }
    }
  }

  /// Applies all relocations, IRELATIVE last.
  ///
  /// - Parameter global: scopes that are searched before the group's own.
  /// - Throws: `LinkError`; what is missing is reported for all images at once.
  package func relocate(global: [Scope], local: Scope) throws(LinkError) {
    Introspection.isReady
    localScope = local
    for image in images { image.scopes = global + [local] }
    for image in images { image.announceFixedOffsets() }
    for image in images { try image.makeThreadStorage() }
    var missing = MissingReferences()
    // Those that others need first, as ld.so: their IFUNCs can then be asked.
    for index in dependencyOrder() {
      var relocation = DynamicRelocation(images[index])
      try relocation.run()
      indirect += relocation.indirect
      missing.merge(relocation.missing)
      relocationCount += relocation.count
    }
    guard missing.isEmpty else {
      throw missing.error(
        file: images.first?.name ?? "", searched: local.providers + global.flatMap(\.providers))
    }
  }

  /// Asks the resolvers of IFUNCs: everything they may use is in place.
  ///
  /// - Throws: `LinkError.unsupported` for a resolver in text that is still being relocated.
  package func resolveIndirect() throws(LinkError) {
    for image in images { image.provider.isRelocated = true }
    for reference in indirect {
      // Code that was written to cannot run before it is sealed, and sealed data cannot be written.
      if reference.provider.entries.relocatesText, reference.provider.runsResolvers {
        throw LinkError(
          file: reference.image.name,
          .unsupported(
            what: "IFUNCs together with text relocations", help: "compile everything with -fPIC"))
      }
      guard
        let chosen = reference.provider.resolved(reference.resolver, by: LinkedCode.resolve)
      else {
        unresolvedIndirectCount += 1
        continue
      }
      var writer = ImageWriter(reference.image)
      guard writer.write(chosen &+ reference.addend, at: reference.place) else {
        throw LinkError(
          file: reference.image.name,
          .malformed(
            structure: "R_X86_64_IRELATIVE", offset: reference.place,
            detail: "its place is in no writable segment"))
      }
    }
    indirect = []
  }

  /// Gives every page its final protection.
  package func seal() throws(LinkError) {
    for image in images {
      do { try image.mapping.seal() } catch { throw LinkError(file: image.name, error.reason) }
    }
  }

  /// Makes the images known to those who must know them: the unwinder, threads, who asks for addresses.
  package func register() throws(LinkError) {
    for image in images {
      try image.checkInitialisers()
      try image.registerUnwindTable()
      try image.initialiseThreads()
      image.liveRecord = LiveRecord(image)
    }
    LiveImages.add(self)
  }

  /// Runs initialisers, those of dependencies first. Returns when they have run, on whichever thread; at once for code of
  /// theirs that asks for itself. An initialiser that waits for another thread's load waits for ever, as with ld.so.
  package func startOnce() {
    guard !isReady.load(ordering: .acquiring) else { return }
    ImageGroup.starting.withLock {
      for dependency in dependencies { dependency.startOnce() }
      start()
    }
  }

  /// The same for one who vouches that no other thread asks for these images yet.
  package func start() {
    guard !hasBegun.exchange(true, ordering: .acquiringAndReleasing) else { return }
    defer { isReady.store(true, ordering: .releasing) }
    images.first?.runPreinitialisers(arguments)
    for index in dependencyOrder() {
      started.append(index)
      images[index].runInitialisers(arguments)
    }
  }

  /// Takes over from the group of an earlier build of its first image, whose initialisers have run: those of
  /// libraries that only this one needs run now, and the first image's finalisers are this group's.
  package func succeed(_ earlier: ImageGroup) {
    hasBegun.store(true, ordering: .releasing)
    defer { isReady.store(true, ordering: .releasing) }
    for index in dependencyOrder() where index != 0 {
      started.append(index)
      images[index].runInitialisers(arguments)
    }
    if earlier.started.contains(0) {
      earlier.started.removeAll { $0 == 0 }
      started.append(0)
    }
    LiveImages.move(self, behind: earlier)
  }

  /// Runs finalisers, in the opposite order; once.
  package func finish() {
    for index in unfinished().reversed() { images[index].runFinalisers() }
  }

  /// The images whose finalisers have not run; nobody else gets them then.
  private func unfinished() -> [Int] {
    finishing.withLock { done in
      defer { done = true }
      return done ? [] : started
    }
  }

  deinit {
    LiveImages.remove(self)
    // A thread that still owes a destructor to an image keeps all of it: finalisers come after.
    let kept = KeptImages(images, dependencies, holds, unfinished())
    for image in images { image.handOver(to: kept) }
  }

  /// What is left of a group that was let go; dropped when nobody is inside any more.
  private final class KeptImages {
    private let images: [MappedImage]
    private let dependencies: [ImageGroup]
    private let holds: [HostHandle]
    private let unfinished: [Int]

    init(
      _ images: [MappedImage], _ dependencies: [ImageGroup], _ holds: [HostHandle],
      _ unfinished: [Int]
    ) {
      self.images = images
      self.dependencies = dependencies
      self.holds = holds
      self.unfinished = unfinished
    }

    deinit { for index in unfinished.reversed() { images[index].runFinalisers() } }
  }

  /// Where a symbol of one of the images is looked up: in itself, then in what it needs, breadth-first, as far
  /// as that is not what every image sees (Linux: dlsym(3) with a handle).
  func scope(of image: MappedImage) -> Scope {
    if image === images.first { return localScope }
    return memberScopes.withLock { known in
      if let scope = known[ObjectIdentifier(image)] { return scope }
      let scope = Scope(searched(from: image.provider))
      known[ObjectIdentifier(image)] = scope
      return scope
    }
  }

  private func searched(from provider: SymbolProvider) -> [SymbolProvider] {
    var list = [provider]
    var next = 0
    while next < list.count {
      let needer = list[next]
      next += 1
      for index in needer.entries.needed.indices {
        guard let name = needer.neededName(index),
          let found = localScope.providers.first(where: { $0.isNamed(name) }),
          !list.contains(where: { $0 === found })
        else { continue }
        list.append(found)
      }
    }
    return list
  }

  /// Images so that each comes after those it needs; where that leaves a choice, and in a circle, as
  /// glibc 2.35 and later: depth-first from the last one found, the one that was asked for at the end.
  private func dependencyOrder() -> [Int] {
    if images.count == 1 { return [0] }
    var order: [Int] = []
    var isSeen = [Bool](repeating: false, count: images.count)
    isSeen[0] = true
    var stack: [(image: Int, next: Int)] = []
    for root in images.indices.reversed() where !isSeen[root] {
      isSeen[root] = true
      stack.append((root, 0))
      while let top = stack.last {
        if top.next < edges[top.image].count {
          stack[stack.count - 1].next += 1
          let needed = edges[top.image][top.next]
          if !isSeen[needed] {
            isSeen[needed] = true
            stack.append((needed, 0))
          }
        } else {
          order.append(top.image)
          stack.removeLast()
        }
      }
    }
    order.append(0)
    return order
  }
}

// Images that were loaded by one request. They are relocated together, initialised in the order of their
// dependencies, and go together: a circle of libraries that need each other is then no circle of references.
internal import CLoaderSupport
internal import Glibc
internal import Synchronization

/// A group of images, in the making and alive. Dropping it runs finalisers and unmaps.
package final class ImageGroup: @unchecked Sendable {
  /// In the order of lookup: breadth-first from the one that was asked for.
  package private(set) var images: [MappedImage] = []
  /// Groups that these images refer to, and holds on libraries of the process.
  package var dependencies: [ImageGroup] = []
  package var holds: [HostHandle] = []
  /// For each image, the images of this group it needs.
  package var edges: [[Int]] = []
  /// What references are looked up in: shared by all images of the group.
  package internal(set) var localScope = Scope.empty

  private var indirect: [IndirectReference] = []
  private let arguments: ArgumentVector?
  /// Images whose initialisers have run, in that order.
  private var started: [Int] = []
  private let finishing = Mutex<Bool>(false)
  package private(set) var relocationCount = 0

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
    localScope = local
    for image in images {
      try image.makeThreadStorage()
      image.scopes = global + [local]
    }
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
  package func resolveIndirect() throws(LinkError) {
    for image in images { image.provider.isRelocated = true }
    for reference in indirect {
      let chosen = reference.provider.resolved(reference.resolver, by: LinkedCode.resolve)
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
    }
    LiveImages.add(self)
  }

  /// Runs initialisers, those of dependencies first.
  package func start() {
    for index in dependencyOrder() {
      started.append(index)
      images[index].runInitialisers(arguments)
    }
  }

  /// Takes over from the group of an earlier build of its first image, whose initialisers have run: those of
  /// libraries that only this one needs run now, and the first image's finalisers are this group's.
  package func succeed(_ earlier: ImageGroup) {
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
    let isFirst = finishing.withLock { done in
      defer { done = true }
      return !done
    }
    guard isFirst else { return }
    for index in started.reversed() { images[index].runFinalisers() }
  }

  deinit {
    LiveImages.remove(self)
    finish()
    // A thread that still owes a destructor to an image keeps all of it.
    let kept = KeptImages(images, dependencies, holds)
    for image in images { image.handOver(to: kept) }
  }

  private final class KeptImages {
    let images: [MappedImage]
    let dependencies: [ImageGroup]
    let holds: [HostHandle]

    init(_ images: [MappedImage], _ dependencies: [ImageGroup], _ holds: [HostHandle]) {
      self.images = images
      self.dependencies = dependencies
      self.holds = holds
    }
  }

  /// Images so that each comes after those it needs; in a circle, as found.
  private func dependencyOrder() -> [Int] {
    if images.count == 1 { return [0] }
    var order: [Int] = []
    var state = [UInt8](repeating: 0, count: images.count)
    var stack: [(image: Int, next: Int)] = []
    for root in images.indices where state[root] == 0 {
      state[root] = 1
      stack.append((root, 0))
      while let top = stack.last {
        if top.next < edges[top.image].count {
          stack[stack.count - 1].next += 1
          let needed = edges[top.image][top.next]
          if state[needed] == 0 {
            state[needed] = 1
            stack.append((needed, 0))
          }
        } else {
          order.append(top.image)
          stack.removeLast()
        }
      }
    }
    return order
  }
}

// A namespace of loaded images: what one context loads, another does not see. It decides where a library that
// an image needs comes from: from this context, from the process, or from a file.
internal import Synchronization
public import SystemPackage

/// An isolated set of loaded images.
public final class LinkContext: Sendable {
  public struct Options: Sendable {
    /// Gives images their memory.
    public var mapper: any Mapper
    /// How images are loaded unless a load says otherwise.
    public var image = ImageOptions()
    /// Directories searched for libraries before the process's own search path.
    public var searchPath: [FilePath] = []
    /// What initialisers get as argv; nil: what the process was started with.
    public var arguments: [String]?
    /// Whether initialisers and finalisers run.
    public var runsInitialisers = true
    /// Libraries that images need and that are not loaded yet: opened by the process's own loader
    /// when they lie in a system directory. Otherwise an error.
    public var opensSystemLibraries = true

    /// Libraries that are there already in another way, by what DT_NEEDED calls them.
    package var isProvided: @Sendable (NameView) -> Bool = { _ in false }

    public init(mapper: any Mapper = DefaultMapper.shared) { self.mapper = mapper }
  }

  package let options: Options
  let arguments: ArgumentVector?
  private let state = Mutex(State())
  /// Made when the first object comes.
  private let objects = Mutex<ObjectProgram?>(nil)

  private struct State {
    var groups: [WeakGroup] = []
    /// How many were ever noted.
    var loads: UInt64 = 0
    /// Groups whose symbols every image loaded later sees (Linux: RTLD_GLOBAL).
    var promoted: [WeakGroup] = []
    var promotedScope = Scope.empty
  }

  private struct WeakGroup {
    let identity: ObjectIdentifier
    /// As the context counts.
    let load: UInt64
    weak var group: ImageGroup?

    init(_ group: ImageGroup, load: UInt64 = 0) {
      identity = ObjectIdentifier(group)
      self.load = load
      self.group = group
    }
  }

  public init(_ options: Options = Options()) {
    self.options = options
    arguments = options.arguments.map(ArgumentVector.init)
  }

  /// Where objects are linked.
  func objectProgram() throws(LinkError) -> ObjectProgram {
    try objects.withLock { objects throws(LinkError) in
      if let known = objects { return known }
      let made = try ObjectProgram(arguments ?? ArgumentVector.ofProcess)
      objects = made
      return made
    }
  }

  /// The memory and names of linked objects.
  package var objectSpace: LinkSpace {
    get throws(LinkError) { try objectProgram().namespace.space }
  }

  /// Makes the symbols of an image, and of what it was loaded with, visible to images that are loaded
  /// later, for as long as somebody holds it (Linux: RTLD_GLOBAL).
  public func promote(_ image: Image) {
    // What the process has is visible as it is.
    guard let group = image.group else { return }
    changePromoted { groups in
      if !groups.contains(where: { $0 === group }) { groups.append(group) }
    }
  }

  /// Takes that back. Images that were bound to it keep it loaded.
  public func demote(_ image: Image) {
    changePromoted { groups in groups.removeAll { $0 === image.group } }
  }

  private func changePromoted(_ change: (inout [ImageGroup]) -> Void) {
    // Held beyond the lock: the last reference to a group that goes now must not be dropped under it.
    let held = state.withLock { state in
      let living = state.promoted.compactMap(\.group)
      var groups = living
      change(&groups)
      state.promoted = groups.map { WeakGroup($0) }
      state.promotedScope = Scope(groups.flatMap { $0.images.map(\.provider) })
      return living
    }
    withExtendedLifetime(held) {}
  }

  /// A symbol as everyone in this context sees it (Linux: RTLD_DEFAULT): of the process, then of
  /// promoted images, then of linked objects.
  public func address(of name: String) -> Address? {
    var copy = name
    let promoted = promoted
    let linked = objects.withLock { $0 }
    return copy.withUTF8 { bytes in
      guard let base = bytes.baseAddress else { return nil }
      var request = LookupRequest(SymbolName(NameView(base: base, count: bytes.count)))
      request.takesNewest = true
      let host = HostImages.current()
      // What was opened late may be closed while we look.
      let holds = host.holdGlobal()
      return withExtendedLifetime((holds, promoted.groups)) {
        let found = holds == nil ? nil : host.global.find(request)
        return (found ?? promoted.scope.find(request)).flatMap { Image.address(of: $0) }
          ?? linked?.namespace.address(of: name)
      }
    }
  }

  /// Images loaded in this context, in the order they were loaded.
  public var images: [Image] {
    liveGroups.flatMap { group in group.images.map { Image($0, of: group) } }
  }

  /// All images that are loaded now, of every context, in the order they were loaded (Linux:
  /// `dl_iterate_phdr`); those of the process are `processImages`.
  public static var loadedImages: [Image] { LiveImages.all }

  var promoted: (groups: [ImageGroup], scope: Scope) {
    state.withLock { state in
      let groups = state.promoted.compactMap(\.group)
      if groups.count != state.promoted.count {
        state.promoted = groups.map { WeakGroup($0) }
        state.promotedScope = Scope(groups.flatMap { $0.images.map(\.provider) })
      }
      return (groups, state.promotedScope)
    }
  }

  /// How many loads there were; for `note`.
  var loads: UInt64 { state.withLock { $0.loads } }

  /// An image that was loaded from a file.
  func image(from file: ImageSource.FileIdentity) -> (image: MappedImage, group: ImageGroup)? {
    for group in liveGroups {
      for image in group.images where image.identity == file { return (image, group) }
    }
    return nil
  }

  var liveGroups: [ImageGroup] {
    state.withLock { $0.groups.compactMap(\.group) }
  }

  /// Lets later loads find the images of a group, unless another load has brought one of the same files in
  /// the meantime: a library that several need is one.
  ///
  /// - Parameters:
  ///   - loads: how many there were when the group's images were looked for; nil: it does not matter.
  ///   - includingFirst: the image that was asked for is to be one, too.
  /// - Returns: false when there is such an image: nothing has changed then.
  @discardableResult
  package func note(_ group: ImageGroup, since loads: UInt64? = nil, includingFirst: Bool = false)
    -> Bool
  {
    let (isNoted, living) = state.withLock { state -> (Bool, [ImageGroup]) in
      // Held beyond the lock: the last reference to a group that goes now must not be dropped under it.
      let living = state.groups.compactMap { weak in weak.group.map { (weak.load, $0) } }
      let all = living.map(\.1)
      if let loads, state.loads != loads {
        let own = Set(group.images.dropFirst(includingFirst ? 0 : 1).compactMap(\.identity))
        let isThere = living.contains { load, other in
          load > loads && other.images.contains { $0.identity.map(own.contains) ?? false }
        }
        if isThere { return (false, all) }
      }
      state.loads += 1
      state.groups = living.map { WeakGroup($0.1, load: $0.0) }
      state.groups.append(WeakGroup(group, load: state.loads))
      return (true, all)
    }
    withExtendedLifetime(living) {}
    return isNoted
  }
}

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
    /// Groups whose symbols every image loaded later sees (Linux: RTLD_GLOBAL).
    var promoted: [ImageGroup] = []
    var promotedScope = Scope.empty
  }

  private struct WeakGroup {
    weak var group: ImageGroup?
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
  /// later (Linux: RTLD_GLOBAL).
  public func promote(_ image: Image) {
    // What the process has is visible as it is.
    guard let group = image.group else { return }
    state.withLock { state in
      guard !state.promoted.contains(where: { $0 === group }) else { return }
      state.promoted.append(group)
      state.promotedScope = Scope(state.promoted.flatMap { $0.images.map(\.provider) })
    }
  }

  /// Takes that back. Images that were bound to it keep it loaded.
  public func demote(_ image: Image) {
    state.withLock { state in
      state.promoted.removeAll { $0 === image.group }
      state.promotedScope = Scope(state.promoted.flatMap { $0.images.map(\.provider) })
    }
  }

  /// A symbol as everyone in this context sees it (Linux: RTLD_DEFAULT): of the process, then of
  /// promoted images, then of linked objects.
  public func address(of name: String) -> Address? {
    var copy = name
    let promoted = promoted.scope
    let linked = objects.withLock { $0 }
    return copy.withUTF8 { bytes in
      guard let base = bytes.baseAddress else { return nil }
      var request = LookupRequest(SymbolName(NameView(base: base, count: bytes.count)))
      request.takesNewest = true
      let host = HostImages.current()
      // What was opened late may be closed while we look.
      let holds = host.holdGlobal()
      return withExtendedLifetime(holds) {
        let found = holds == nil ? nil : host.global.find(request)
        return (found ?? promoted.find(request)).flatMap { Image.address(of: $0) }
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
    state.withLock { ($0.promoted, $0.promotedScope) }
  }

  var liveGroups: [ImageGroup] {
    state.withLock { $0.groups.compactMap(\.group) }
  }

  /// Lets later loads find the images of a group.
  package func note(_ group: ImageGroup) {
    state.withLock { state in
      state.groups.removeAll { $0.group == nil }
      state.groups.append(WeakGroup(group: group))
    }
  }
}

// FLOW 1: a shared object becomes part of the process.
//
//     open      the headers are read and proven
//     place     a mapper gives memory; the dynamic tables are opened
//     gather    what it needs is mapped too, or found among what is loaded
//     relocate  every reference is bound in the group's scope; IFUNCs are asked last
//     seal      every page gets its final protection
//     register  the unwinder and the threads learn of it
//     start     initialisers run, those of dependencies first
//
// A throw drops the group, and what was done is undone by the deinits of what it holds.

public import SystemPackage

/// Loads shared objects and executables.
enum Loader {
  /// Loads an image and what it needs.
  ///
  /// - Parameters:
  ///   - kind: nil: whatever it is.
  ///   - isShared: one that the context has loaded from the same file will do.
  /// - Throws: `LinkError`; nothing has changed then.
  static func load(
    _ source: ImageSource, _ candidates: [ImageSource], kind: ImageHeaders.Kind?,
    _ options: ImageOptions, in context: LinkContext, isShared: Bool = false
  ) throws(LinkError) -> Image {
    var options = options
    options.opener = options.opener ?? context
    while true {
      if isShared, let file = source.identity, let known = context.image(from: file) {
        if context.options.runsInitialisers { known.group.startOnce() }
        return Image(known.image, of: known.group)
      }
      let loaded = try attempt(source, candidates, kind, options, in: context, isShared)
      if let loaded { return loaded }
    }
  }

  /// - Returns: nil when another thread has loaded a library meanwhile that this one would have brought too.
  private static func attempt(
    _ source: ImageSource, _ candidates: [ImageSource], _ kind: ImageHeaders.Kind?,
    _ options: ImageOptions, in context: LinkContext, _ isShared: Bool
  ) throws(LinkError) -> Image? {
    let loads = context.loads
    let group = ImageGroup(arguments: context.arguments)
    group.append(
      try MappedImage.open(source, kind: kind, by: context.options.mapper, options))
    var dependencies = Dependencies(context, group, options, candidates)
    try dependencies.gather()
    // GATE: everything is in memory; no offset is unchecked past here.
    try group.checkVersions(in: dependencies.providers)
    let promoted = context.promoted
    group.dependencies += promoted.groups
    try group.relocate(
      global: [dependencies.globalScope, promoted.scope], local: dependencies.localScope())
    // GATE: no symbol is missing.
    try group.resolveIndirect()
    try group.seal()
    // GATE: no page is writable and executable.
    try group.register()
    guard context.note(group, since: loads, includingFirst: isShared) else { return nil }
    // GATE: visible, no way back.
    if context.options.runsInitialisers { group.startOnce() }
    return Image(group.images[0], of: group)
  }
}

extension LinkContext {
  /// Loads a shared object and what it needs (Linux: `dlopen`).
  ///
  /// - Parameters:
  ///   - path: of the file; its bytes need not be text.
  ///   - options: nil: the context's.
  /// - Throws: `LinkError`; nothing is loaded then.
  public func loadLibrary(_ path: FilePath, options: ImageOptions? = nil) throws(LinkError)
    -> Image
  {
    try loadLibrary(ImageSource(opening: path), options: options)
  }

  /// Loads a shared object from anywhere.
  ///
  /// - Parameter candidates: images for DT_NEEDED, known by their names or DT_SONAME; those that are
  ///   needed are loaded from here before any file is looked for.
  /// - Throws: `LinkError`; nothing is loaded then.
  public func loadLibrary(
    _ source: ImageSource, with candidates: [ImageSource] = [], options: ImageOptions? = nil
  ) throws(LinkError) -> Image {
    try Loader.load(
      source, candidates, kind: .sharedObject, options ?? self.options.image, in: self)
  }

  /// The same, unless the context has loaded the file already, or another thread does so meanwhile.
  func loadShared(_ source: ImageSource, _ options: ImageOptions) throws(LinkError) -> Image {
    try Loader.load(source, [], kind: .sharedObject, options, in: self, isShared: true)
  }

  /// Maps and relocates an executable at its address (ET_EXEC), or anywhere (PIE), without running it.
  ///
  /// - Throws: `LinkError`; nothing is loaded then.
  public func loadExecutable(_ source: ImageSource, options: ImageOptions? = nil)
    throws(LinkError) -> Image
  {
    try Loader.load(source, [], kind: .executable, options ?? self.options.image, in: self)
  }

  /// Loads a shared object or an executable, whichever the source is.
  public func load(_ source: ImageSource, options: ImageOptions? = nil) throws(LinkError) -> Image {
    try Loader.load(source, [], kind: nil, options ?? self.options.image, in: self)
  }

  /// Loads what was scanned, without reading it again.
  ///
  /// - Throws: `LinkError`; nothing is loaded then.
  public func load(_ scan: ImageScan, options: ImageOptions? = nil) throws(LinkError) -> Image {
    try load(scan.source, options: options)
  }
}

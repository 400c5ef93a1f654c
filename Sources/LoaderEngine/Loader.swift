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

/// Loads shared objects and executables.
enum Loader {
  /// Loads an image and what it needs.
  ///
  /// - Parameter kind: nil: whatever it is.
  /// - Throws: `LinkError`; nothing has changed then.
  static func load(
    _ source: ImageSource, _ candidates: [ImageSource], kind: ImageHeaders.Kind?,
    _ options: ImageOptions, in context: LinkContext
  ) throws(LinkError) -> Image {
    let group = ImageGroup(arguments: context.arguments)
    group.append(try map(source, kind: kind, options, context))
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
    // GATE: visible, no way back.
    context.note(group)
    if context.options.runsInitialisers { group.start() }
    return Image(group.images[0], of: group)
  }

  /// Maps one image.
  static func map(
    _ source: ImageSource, kind: ImageHeaders.Kind?, _ options: ImageOptions,
    _ context: LinkContext
  ) throws(LinkError) -> MappedImage {
    let headers = try ImageHeaders(source)
    switch (kind, headers.kind) {
    case (.sharedObject, .executable):
      throw LinkError(
        file: source.name,
        .unsupported(what: "an executable", help: "load it with loadExecutable"))
    default: break
    }
    let image = try MappedImage(source, headers, by: context.options.mapper, options)
    if kind == .sharedObject, image.provider.entries.isPIE {
      throw LinkError(
        file: source.name,
        .unsupported(
          what: "a position-independent executable", help: "load it with loadExecutable"))
    }
    return image
  }
}

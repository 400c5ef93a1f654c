// What code in our images gets when it calls dlopen(3): images of its own context first, then a file that it names,
// or one in the directories that its image names; everything else is the process's affair. Linux: dlopen(3).
internal import Glibc
internal import SystemPackage

extension LinkContext: LibraryOpener {
  package var visible: (groups: [ImageGroup], scope: Scope) { promoted }

  package func open(_ name: String, mode: Int32, for caller: MappedImage) throws(LinkError)
    -> Image?
  {
    if name.isEmpty { return nil }
    guard let image = try find(name, mode, for: caller) else { return nil }
    if mode & RTLD_GLOBAL != 0 { promote(image) }
    return image
  }

  private func find(_ name: String, _ mode: Int32, for caller: MappedImage) throws(LinkError)
    -> Image?
  {
    if let image = loaded({ $0.name == name || $0.soname(is: name) }) { return image }
    let isPath = name.contains("/")
    // What the process has already is not loaded twice.
    let suffix = "/" + name
    let isTheirs = HostImages.current().all.contains {
      $0.name == name || !isPath && $0.name.hasSuffix(suffix)
    }
    if isTheirs { return nil }
    var options = self.options.image
    options.binding = mode & RTLD_NOW != 0 ? .now : .lazy
    var search = LibrarySearch(name, caller.provider, self.options)
    while let next = search.next() {
      let source: ImageSource
      switch next {
      case .success(let opened): source = opened
      case .failure(let error):
        if isPath { throw error }
        continue
      }
      if let identity = source.identity, let image = loaded({ $0.identity == identity }) {
        return image
      }
      if mode & RTLD_NOLOAD != 0 { return nil }
      do {
        return try loadShared(source, options)
      } catch {
        // A library for another machine is passed over, as ld.so does.
        if !isPath, case .otherMachine = error.reason { continue }
        throw error
      }
    }
    return nil
  }

  /// The first image of this context that is like that.
  private func loaded(_ isWanted: (MappedImage) -> Bool) -> Image? {
    for group in liveGroups {
      for image in group.images where isWanted(image) {
        if options.runsInitialisers { group.startOnce() }
        return Image(image, of: group)
      }
    }
    return nil
  }
}

extension MappedImage {
  fileprivate func soname(is name: String) -> Bool {
    provider.soname.map { $0.string == name } ?? false
  }
}

// What code in our images gets when it calls dlopen(3): images of its own context first, then libraries in the
// directories that its image names; everything else is the process's affair. Linux: dlopen(3).
internal import Glibc
internal import SystemPackage

extension LinkContext: LibraryOpener {
  package func open(_ name: String, mode: Int32, for caller: MappedImage) throws(LinkError)
    -> ImageGroup?
  {
    if name.isEmpty { return nil }
    for group in liveGroups {
      for image in group.images where image.name == name || image.soname(is: name) { return group }
    }
    if mode & RTLD_NOLOAD != 0 { return nil }
    let source: ImageSource?
    if name.contains("/") {
      // A file that the process has already is not loaded twice.
      if HostImages.current().all.contains(where: { $0.name == name }) { return nil }
      source = try ImageSource(opening: FilePath(name))
    } else {
      source = find(name, for: caller)
    }
    guard let source else { return nil }
    for group in liveGroups where group.images.contains(where: { $0.identity == source.identity }) {
      return group
    }
    var options = self.options.image
    options.binding = mode & RTLD_NOW != 0 ? .now : .lazy
    let image = try loadLibrary(source, options: options)
    if mode & RTLD_GLOBAL != 0 { promote(image) }
    return image.group
  }

  private func find(_ name: String, for caller: MappedImage) -> ImageSource? {
    if HostImages.current().all.contains(where: { $0.name.hasSuffix("/" + name) }) { return nil }
    var search = LibrarySearch(name, caller.provider, root: caller.provider, options)
    while let path = search.next() {
      if let source = try? ImageSource(opening: path) { return source }
    }
    return nil
  }
}

extension MappedImage {
  fileprivate func soname(is name: String) -> Bool {
    provider.soname.map { $0.string == name } ?? false
  }
}

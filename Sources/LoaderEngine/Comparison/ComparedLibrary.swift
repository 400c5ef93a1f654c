// One file, loaded by the process's own loader and then by us. Made for a process of its own that ends right
// after: the library's dependencies run their constructors, and nothing is ever unloaded.
internal import Glibc
package import SystemPackage

package enum ComparedLibrary {
  /// How far it came.
  package enum Outcome {
    /// dlopen(3) refuses it, with these words.
    case refused(String)
    case notLoaded(LinkError)
    case compared(LoaderComparison)
  }

  /// Loads a file twice and compares.
  ///
  /// - Parameters:
  ///   - falsified: virtual address of a word into which a wrong value is written: a comparison that does
  ///     not tell is none.
  ///   - willLoad: called between the two loads: which of them crashed is known then.
  package static func compare(
    _ path: FilePath, falsified: UInt64? = nil, willLoad: () -> Void = {}
  ) -> Outcome {
    let handle = path.withPlatformString { dlopen($0, RTLD_NOW | RTLD_LOCAL) }
    guard handle != nil else {
      return .refused(dlerror().map { String(cString: $0) } ?? "no reason given")
    }
    willLoad()
    guard let theirs = HostImages.current().all.last(where: { $0.name == path.string }) else {
      return .refused("it has no tables that could be compared")
    }
    var options = LinkContext.Options()
    options.runsInitialisers = false
    // All it needs is in the process now.
    options.opensSystemLibraries = false
    if let falsified {
      var observer = LinkObserver()
      // Events count from the first page.
      let offset = falsified &- (theirs.range.start.value &- theirs.bias)
      observer.willRelocate = { $0.offset == offset ? .write(0xF1A5_E1F1) : .proceed }
      options.image.observer = observer
    }
    do {
      let image = try LinkContext(options).loadLibrary(path)
      guard let comparison = LoaderComparison(image, with: theirs) else {
        return .notLoaded(
          LinkError(
            file: path.string, .unsupported(what: "an image of the process", help: "report this")))
      }
      return withExtendedLifetime(image) { .compared(comparison) }
    } catch {
      return .notLoaded(error)
    }
  }
}

// What rustc adds to a link of its own: the functions by which std allocates, as jumps to std's own allocator. With
// `--emit=obj` nobody has made them, so they are made here, as an object like any other.
// rustc: compiler/rustc_codegen_ssa, “allocator shim”; its book, “v0 mangling”.
internal import CLoaderSupport
internal import LoaderEngine

enum RustAllocation {
  static let unitName = "Rust's allocator"

  /// Whether rustc would make a function of this name when it links.
  static func covers(_ name: NameView) -> Bool {
    guard name.hasPrefix("_RNvC"), name.contains("_7___rustc") else { return false }
    return covers(named: name.string)
  }

  static func covers(named name: String) -> Bool { function(name) != nil }

  /// An object that defines all of `names`.
  static func object(defining names: [String]) throws(LinkError) -> ObjectFile {
    let bytes = JumpObject.bytes(names.compactMap(function))
    return try ObjectFile(Bytes(FileContents(bytes)), name: unitName)
  }

  /// `_RNvCs…_7___rustc12___rust_alloc` jumps to `_RNvCs…_7___rustc11___rdl_alloc`.
  private static func function(_ name: String) -> JumpObject.Function? {
    for function in ["alloc", "dealloc", "realloc", "alloc_zeroed", "alloc_error_handler"] {
      let old = mangled("__rust_\(function)")
      guard name.hasSuffix("_7___rustc" + old) else { continue }
      return JumpObject.Function(
        name: name, target: name.dropLast(old.utf8.count) + mangled("__rdl_\(function)"))
    }
    let idle = ["no_alloc_shim_is_unstable_v2", "alloc_error_handler_should_panic_v2"]
    guard idle.contains(where: { name.hasSuffix(mangled("__rust_\($0)")) }) else { return nil }
    return JumpObject.Function(name: name, target: nil)
  }

  /// An identifier: its length, and `_` before one that begins with that.
  private static func mangled(_ name: String) -> String { "\(name.utf8.count)_\(name)" }
}

// Images that are in the process already, as handles: the program itself, its libraries, the vDSO. They are not
// owned: nothing is relocated, nothing unmapped; a library is kept from being unloaded. Linux: dlopen(3) with
// RTLD_NOLOAD, vdso(7).

extension LinkContext {
  /// The process's image that an address lies in.
  ///
  /// - Returns: nil when no image of the process holds it.
  public static func adopt(at address: Address) -> Image? {
    let images = HostImages.current()
    return images.image(at: address).flatMap { adopt($0, images) }
  }

  /// The process's image by its path, the last part of that, or its DT_SONAME. The program itself is
  /// `/proc/self/exe`, the vDSO `linux-vdso.so.1`.
  public static func adopt(named name: String) -> Image? {
    let images = HostImages.current()
    let found = images.all.first { image in
      image.name == name || image.name.hasSuffix("/" + name)
        || image.soname.map { $0.string == name } ?? false
    }
    return found.flatMap { adopt($0, images) }
  }

  /// All images that the process's own loader has loaded, in its order.
  public static var processImages: [Image] {
    let images = HostImages.current()
    return images.all.compactMap { adopt($0, images) }
  }

  /// - Returns: nil for one that went meanwhile.
  private static func adopt(_ provider: SymbolProvider, _ images: HostImages) -> Image? {
    var hold: HostHandle?
    if !images.isPermanent(provider) {
      hold = HostImages.handle(provider)
      guard hold != nil else { return nil }
    }
    return Image(adopting: provider, with: images.dependencies(of: provider), hold)
  }
}

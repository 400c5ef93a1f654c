// Images that are in the process already, as handles: the program itself, its libraries, the vDSO. They are not
// owned: nothing is relocated, nothing unmapped; a library is kept from being unloaded. Linux: dlopen(3) with
// RTLD_NOLOAD, vdso(7).

extension LinkContext {
  /// The process's image that an address lies in.
  ///
  /// - Returns: nil when no image of the process holds it.
  public static func adopt(at address: Address) -> Image? {
    let images = HostImages.current()
    return images.image(at: address).map { adopt($0, images) }
  }

  /// The process's image by its path, the last part of that, or its DT_SONAME. The program itself is
  /// `/proc/self/exe`, the vDSO `linux-vdso.so.1`.
  public static func adopt(named name: String) -> Image? {
    let images = HostImages.current()
    return images.all.first {
      $0.name == name || $0.name.hasSuffix("/" + name) || $0.soname?.string == name
    }
    .map { adopt($0, images) }
  }

  /// All images that the process's own loader has loaded, in its order.
  public static var processImages: [Image] {
    let images = HostImages.current()
    return images.all.map { adopt($0, images) }
  }

  private static func adopt(_ provider: SymbolProvider, _ images: HostImages) -> Image {
    Image(
      adopting: provider, with: images.dependencies(of: provider), images.hold(provider))
  }
}

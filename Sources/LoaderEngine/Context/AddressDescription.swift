// What an address belongs to, for reports and backtraces: an image of ours or of the process, and the symbol
// around it. Linux: dladdr(3), backtrace_symbols(3).

/// What lies at an address.
public struct AddressDescription: Hashable, Sendable {
  /// The path or name of the image.
  public var image: String
  /// Bytes from the image's first page.
  public var imageOffset: UInt64
  /// The exported symbol that holds the address; nil when none does.
  public var symbol: String?
  /// Bytes from the symbol's start.
  public var symbolOffset: UInt64

  /// - Returns: nil when the address lies in no image.
  public init?(_ address: Address) {
    if let image = LiveImages.image(at: address) {
      self.init(address, in: image.provider)
      return
    }
    guard let image = LinkContext.adopt(at: address) else { return nil }
    self.init(address, in: image.provider)
  }

  /// Where the calling thread is, innermost first: return addresses, and what they belong to (Linux:
  /// `backtrace`, `backtrace_symbols`).
  public static func callStack(depth: Int = 64) -> [(address: Address, place: AddressDescription?)]
  {
    CallStack.addresses(depth: depth).map { ($0, AddressDescription($0)) }
  }

  private init(_ address: Address, in provider: SymbolProvider) {
    image = provider.name
    imageOffset = address &- provider.range.start
    let found = provider.symbol(at: address)
    symbol = found?.name
    symbolOffset = found?.offset ?? 0
  }
}

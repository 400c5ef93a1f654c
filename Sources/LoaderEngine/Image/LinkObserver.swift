// Interception: a caller sees every relocation, binding and first call of an image, and may decide otherwise.
// Values passed in; an image without an observer pays nothing for it.

/// A relocation about to be applied, or applied.
public struct RelocationEvent: Sendable {
  /// The image it stands in.
  public var image: String
  /// Where it stands, in bytes from the image's first page.
  public var offset: UInt64
  /// The psABI's number of its type.
  public var type: UInt32
  /// The symbol it refers to; empty for none.
  public var symbol: String
  /// The version asked for; empty for none.
  public var version: String
  public var addend: Int64
  /// Where it runs.
  public var place: Address
  /// What is written; in `willRelocate` not known yet and 0.
  public var value: UInt64

  /// The psABI's name of its type.
  public var typeName: String { X86_64.dynamicName(type) }
}

/// A symbol that was looked up.
public struct BindingEvent: Sendable {
  /// The image that refers to it.
  public var image: String
  public var symbol: String
  /// The version asked for; empty for none.
  public var version: String
  /// The image that defines it; empty when nobody does.
  public var provider: String
  /// Where it was found; 0 when it was not.
  public var address: Address
  /// Bound at its first call.
  public var isLazy: Bool
}

/// What a caller wants to see and decide. Functions are called on the thread that loads, or calls.
public struct LinkObserver: Sendable {
  public enum Decision: Sendable {
    /// As if nobody had asked.
    case proceed
    /// Nothing is written.
    case skip
    /// This value is written, in the relocation's width.
    case write(UInt64)
  }

  /// Before a relocation is applied.
  public var willRelocate: (@Sendable (RelocationEvent) -> Decision)?
  /// After it was applied.
  public var didRelocate: (@Sendable (RelocationEvent) -> Void)?
  /// When a symbol was looked up, found or not: an address given here is used in its place.
  public var binding: (@Sendable (BindingEvent) -> Address?)?
  /// When a lazily bound function is first called: the same.
  public var lazyCall: (@Sendable (BindingEvent) -> Address?)?
  /// When a lazily bound function is called that nobody defines: an address to call instead.
  public var unresolvedCall: (@Sendable (BindingEvent) -> Address?)?

  public init() {}

  var seesRelocations: Bool { willRelocate != nil || didRelocate != nil }
}

/// Gives references of an image another meaning than its scopes would. It is how a reload runtime sends
/// calls to stubs, and variables to where they live already.
package protocol ReferenceBinder: AnyObject, Sendable {
  /// The address a symbol stands for; nil: whatever the scopes have.
  func address(of name: NameView, isForCall: Bool, in image: MappedImage) -> UInt64?
  /// The address of a symbol that no scope has; nil: it is missing.
  func fallback(for name: NameView, isForCall: Bool, in image: MappedImage) -> UInt64?
  /// What a word holds that refers to the image itself (R_X86_64_RELATIVE, RELR); nil: B + A.
  ///
  /// - Parameters:
  ///   - virtual: A, a virtual address of the image.
  ///   - place: the virtual address of the word.
  func target(of virtual: UInt64, at place: UInt64, in image: MappedImage) -> UInt64?
  /// Whether an address that it gave is one to call, though it lies in no image.
  func isCode(_ address: Address) -> Bool
}

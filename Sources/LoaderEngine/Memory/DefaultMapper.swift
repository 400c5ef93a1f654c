// The mapper for who has no wishes.

/// Files are mapped, everything else is read into anonymous pages.
public final class DefaultMapper: Mapper {
  public static let shared = DefaultMapper()
  private let files = FileMapper()

  public init() {}

  public func map(_ request: MappingRequest) throws(LinkError) -> any ImageMapping {
    try files.map(request)
  }
}

// Where a link is laid out that is only looked at: `hotlink check --base`.
public import LoaderEngine
internal import SystemPackage

/// A first address, and room for what some input can need there.
public struct ImaginaryLayout: Sendable {
  let layout: ArenaLayout

  /// - Parameters:
  ///   - base: the first address, any of 64 bits.
  ///   - inputs: the bytes and names of all objects and archives that will be linked.
  ///   - merges: whether strings and constants will be merged.
  /// - Throws: `LinkError` when one of them cannot be linked.
  public init(base: UInt64, inputs: [(bytes: [UInt8], name: String)], merges: Bool)
    throws(LinkError)
  {
    var objects: [ObjectFile] = []
    for input in inputs {
      let file = try UnitReader.parse(
        Bytes(FileContents(input.bytes)), path: FilePath(input.name))
      if let object = file.object { objects.append(object) }
      objects += file.members.map(\.object)
    }
    layout = ArenaLayout(base: Address(base), objects: objects, merges: merges)
  }
}

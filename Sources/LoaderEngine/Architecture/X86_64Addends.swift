// Objects of this machine: where their relocations keep implicit addends.

extension X86_64 {
  package static let implicitAddends = ImplicitAddends { row($0)?.field.width ?? 0 }
}

extension ObjectFile {
  /// - Throws: `LinkError` when the bytes are no object that can be linked.
  package convenience init(_ bytes: Bytes, name: String) throws(LinkError) {
    try self.init(bytes, name: name, addends: X86_64.implicitAddends)
  }
}

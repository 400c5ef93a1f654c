// A unit is one reloadable artefact: an object, or a member of an archive. It keeps its number and its
// local identities over all its versions.
package import LoaderEngine

/// A unit of a program.
final class Unit {
  let id: UInt32
  /// How it is called in reports: the path as found, or `archive(member)`.
  let name: String
  /// What is linked now; nil before the first link and after removal.
  var version: UnitVersion?
  /// The same for a shared object.
  var library: LibraryVersion?

  init(id: UInt32, name: String) {
    self.id = id
    self.name = name
  }

  /// What debug data says of what is linked now.
  var layouts: UnitLayouts? { version?.layouts ?? library?.layouts }
}

/// What a unit is made of.
package enum UnitContent {
  case object(ObjectFile)
  case library(LibraryFile)
}

/// A new content for a unit, or its removal.
package struct UnitChange {
  package var name: String
  /// nil: the unit is gone.
  package var content: UnitContent?

  package init(name: String, content: UnitContent?) {
    self.name = name
    self.content = content
  }

  package init(name: String, object: ObjectFile?) {
    self.init(name: name, content: object.map { .object($0) })
  }

  package var object: ObjectFile? {
    if case .object(let object)? = content { return object }
    return nil
  }
}

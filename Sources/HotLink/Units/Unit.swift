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

  init(id: UInt32, name: String) {
    self.id = id
    self.name = name
  }
}

/// A new content for a unit, or its removal.
package struct UnitChange {
  package var name: String
  /// nil: the unit is gone.
  package var object: ObjectFile?

  package init(name: String, object: ObjectFile?) {
    self.name = name
    self.object = object
  }
}

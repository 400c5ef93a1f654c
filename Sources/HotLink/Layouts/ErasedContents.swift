// Containers of the C++ library that know their nodes by a base class without what is in them: `std::map`, `std::list`, `std::unordered_map`,
// and what a coroutine's handle leads to. Their template arguments say what it is. libstdc++ and libc++.
internal import LoaderEngine

enum ErasedContents {
  private static let templates: [StaticString] = [
    "_Rb_tree", "_Hashtable", "list", "_List_base", "forward_list", "_Fwd_list_base",
    "coroutine_handle", "__tree", "__hash_table", "__list_imp", "__forward_list_base",
  ]

  /// Whether objects of a class lead to others that its members say nothing of.
  static func areIn(_ node: TypeNode, _ table: TypeTable) -> Bool {
    guard let name = node.name, let outermost = table.scopeNames[node.scopes.range].first,
      outermost == NameView("std")
    else { return false }
    return templates.contains { template in
      let count = template.utf8CodeUnitCount
      // Clang may leave the arguments out of the name.
      return name.hasPrefix(template)
        && (name.count == count || name.dropFirst(count).hasPrefix("<"))
    }
  }
}

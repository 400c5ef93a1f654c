enum StoreError: Error { case missing(Int) }
class Store<Element: Identifiable>: CustomStringConvertible where Element.ID == Int {
  let name: String
  fileprivate(set) var elements: [Element] = []
  init(named name: String) { self.name = name; registry.names.append(name) }
  func add(_ element: Element) { elements.append(element) }
  func find(_ matches: (Element) -> Bool) -> Element? { elements.first(where: matches) }
  func remove(id: Int) throws { guard let at = elements.firstIndex(where: { $0.id == id }) else { throw StoreError.missing(id) }; elements.remove(at: at) }
  var first: Element? { elements.first }
  var summary: String { "\(name): \(elements.map(\.id))" }
  var description: String { summary }
}
final class SortedStore<Element: Identifiable>: Store<Element> where Element.ID == Int {
  override func add(_ element: Element) { super.add(element); elements.sort { $0.id < $1.id } }
}
private func helper() -> Int { 40 }
func fileprivateSum() -> Int { helper() + 2 }

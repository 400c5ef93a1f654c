// One module of several files: top-level code, a generic class and its subclass, extensions, globals in order of use.
// run:
print("main begins", registry.names)
let store = Store<Item>(named: "items")
for n in 1...3 { store.add(Item(id: n, label: "item \(n)")) }
let sorted = SortedStore<Item>(named: "sorted")
[3, 1, 2].forEach { sorted.add(Item(id: $0, label: "s\($0)")) }
print(store.summary, sorted.summary, (sorted as Store<Item>).first?.id ?? 0)
print(store.find { $0.id == 2 } as Any, registry.names, String(describing: type(of: sorted)))
do { try store.remove(id: 9) } catch let error as StoreError { print("error", error) }
let printers: [any Printer] = [Plain(), Fancy(frame: "*")]
for printer in printers { print(printer.render(store), printer is Fancy) }
print((printers[0] as? any Describable)?.details ?? "not describable", (printers[1] as? any Describable)?.details ?? "not describable")
print(5.doubled, "x".doubled, [1, 2].doubled, fileprivateSum(), Counter.shared.next(), Counter.shared.next())

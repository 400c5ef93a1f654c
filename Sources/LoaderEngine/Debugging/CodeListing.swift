// Code as profilers want to know it: functions by name, with their bytes, and where each line begins.

/// One function, or one stub.
package struct ListedCode {
  package var name: NameView
  /// Written behind the name.
  package var suffix: StaticString = ""
  package var range: AddressRange
}

/// Where the code of a source line begins.
package struct SourceLine: Hashable, Sendable {
  package var address: UInt64
  package var line: UInt32
  package var file: String

  package init(address: UInt64, line: UInt32, file: String) {
    self.address = address
    self.line = line
    self.file = file
  }
}

extension DebugUnit {
  /// Its functions. Labels without a size are not listed.
  var code: [ListedCode] {
    var listed: [ListedCode] = []
    forEachNamed { found in
      guard found.isCode, found.size > 0 else { return }
      listed.append(
        ListedCode(
          name: found.name,
          range: AddressRange(start: Address(found.address), size: found.size)))
    }
    return listed
  }
}

extension SlotTable {
  /// The stubs from a number on, by the names of their functions.
  func code(from first: UInt32, _ names: SymbolNames) -> [ListedCode] {
    var listed: [ListedCode] = []
    forEachStub(from: first) { slot, symbol in
      listed.append(
        ListedCode(
          name: names[symbol].withoutUnit, suffix: "@plt",
          range: AddressRange(start: stub(slot), size: X86_64.thunkOffset)))
    }
    return listed
  }
}

/// A file that tells a profiler of linked code.
package protocol ProfilerFile: AnyObject, Sendable {
  /// Describes objects that are linked and do not run yet.
  func describe(_ units: [DebugUnit]) -> [UInt8]
  /// Describes stubs.
  func describe(_ stubs: [ListedCode]) -> [UInt8]
  /// Writes what was described: from now on that code may run.
  func write(_ description: [UInt8])
}

/// What is told to a profiler of one program. Its owner serialises.
package final class ProfilerView: @unchecked Sendable {
  private let file: any ProfilerFile
  private let space: LinkSpace
  private var nextStub: UInt32 = 1

  package init(_ file: any ProfilerFile, _ space: LinkSpace) {
    self.file = file
    self.space = space
  }

  /// On the linker's thread.
  package func prepare(_ objects: [LinkedObject], _ table: SymbolTable) -> [UInt8] {
    file.describe(objects.map { DebugUnit($0, table) })
  }

  /// Before the code is called.
  package func publish(_ description: [UInt8]) {
    let stubs = space.slots.code(from: nextStub, space.names)
    nextStub += UInt32(stubs.count)
    file.write(description + file.describe(stubs))
  }
}

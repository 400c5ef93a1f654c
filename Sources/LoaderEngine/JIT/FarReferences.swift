// References of 32 bits to what the process has further away than they reach: code without -fPIC, linked below 2 GiB,
// or a library that lies far off. Solved as a linker of programs does it: a function's address becomes that of a stub,
// a variable is copied here and everyone in the process is led to the copy. psABI AMD64, R_X86_64_COPY.
internal import CLoaderSupport
internal import Glibc

/// Variables of the process that linked code has in its own memory. Its owner serialises.
package final class HostCopies: @unchecked Sendable {
  struct Copy {
    var original: AddressRange
    var address: Address
  }

  private(set) var copies: [Copy] = []
  /// Whether the process uses none of this program's memory in place of its own.
  package var isEmpty: Bool { copies.isEmpty }

  init() {}

  /// Where a variable of the process is now.
  func address(of original: Address) -> Address? {
    copies.first { $0.original.contains(original) }.map {
      $0.address &+ (original &- $0.original.start)
    }
  }

  /// Copies the bytes and leads all words of the process's images that are bound to the originals to the
  /// copies. Nobody else may be running who uses them.
  func take(_ fresh: [Copy]) {
    copies += fresh
    for copy in fresh {
      guard let from = copy.original.start.pointer,
        let to = UnsafeMutableRawPointer(bitPattern: UInt(copy.address.value))
      else { continue }
      memcpy(to, from, Int(copy.original.size))
    }
    // Pointers from one into itself or another, as in an object of a class with a buffer inside.
    for copy in fresh {
      guard let words = UnsafeMutableRawPointer(bitPattern: UInt(copy.address.value)) else {
        continue
      }
      for at in stride(from: 0, to: Int(copy.original.size) - 7, by: 8) {
        let word = Address(words.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        if let moved = address(of: word) {
          words.storeBytes(of: moved.value, toByteOffset: at, as: UInt64.self)
        }
      }
      hl_redirect_words(
        copy.original.start.pointer, Int(copy.original.size),
        UnsafeRawPointer(words))
    }
  }
}

extension LinkedSet {
  /// Finds what of the process is referred to by 32 bits and out of reach, and gives it a place here.
  func resolveFarReferences() throws(LinkError) {
    // What is only looked at is shown as it is.
    guard !space.arena.isImaginary else { return }
    var functions: Set<SymbolID> = []
    var variables: [SymbolID: Address] = [:]
    for (index, linked) in objects.enumerated() {
      let far = Set(
        targets[index].indices.filter {
          let target = targets[index][$0]
          return target.flags.contains(.host) && !target.flags.contains(.threadLocal)
            && !space.arena.window.reaches(Address(target.reference))
        })
      guard !far.isEmpty else { continue }
      for section in linked.object.relocationSections {
        let holder = Int(linked.object.sections[section].info)
        guard linked.object.sections[holder].isAllocated, linked.roles[holder] != .ignored else {
          continue
        }
        let relocations = linked.object.relocations(inSection: section)
        for position in 0..<relocations.count where far.contains(relocations[position].symbol) {
          let relocation = relocations[position]
          guard let row = X86_64.row(relocation.type), row.field.width == 4,
            row.formula == .absolute || row.formula == .pcRelative
          else { continue }
          let target = targets[index][relocation.symbol]
          if target.flags.contains(.function) {
            functions.insert(target.id)
          } else {
            variables[target.id] = Address(target.reference)
          }
        }
      }
    }
    guard !functions.isEmpty || !variables.isEmpty else { return }
    let copies = try makeCopies(Array(variables.values))
    for index in targets.indices {
      for symbol in targets[index].indices where targets[index][symbol].flags.contains(.host) {
        let target = targets[index][symbol]
        if functions.contains(target.id) {
          targets[index][symbol].reference = target.body
        } else if !target.flags.contains(.function),
          let copy = copies.first(where: { $0.original.contains(Address(target.reference)) })
        {
          let address = copy.address &+ (Address(target.reference) &- copy.original.start)
          targets[index][symbol].body = address.value
          targets[index][symbol].reference = address.value
        }
      }
    }
    freshCopies = copies
  }

  private func makeCopies(_ originals: [Address]) throws(LinkError) -> [HostCopies.Copy] {
    var copies: [HostCopies.Copy] = []
    for original in Set(originals).sorted() {
      // Another name of one that was copied just now, or one that must not be copied.
      guard !copies.contains(where: { $0.original.contains(original) }) else { continue }
      var size: UInt64 = 0
      guard hl_copyable_size(original.pointer, &size) == 0, size > 0, size < 1 << 24 else {
        continue
      }
      let memory = try take(.data, size, 64, grows: false)
      copies.append(
        HostCopies.Copy(original: AddressRange(start: original, size: size), address: memory))
    }
    return copies
  }
}

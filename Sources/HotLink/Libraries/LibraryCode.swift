// The code of a shared object as a reload sees it: which function refers to what. All executable sections are
// walked from end to end; where that is not possible, the library can be run but not replaced.
internal import CLoaderSupport
internal import LoaderEngine

/// References of a library's code.
struct LibraryCode {
  /// Virtual addresses of one stretch: a function, or what lies between two.
  struct Stretch {
    var range: Range<UInt64>
    /// Its references: a range of `references`.
    var references: Range<Int>
  }

  private(set) var references: [CodeReference] = []
  private(set) var stretches: [Stretch] = []
  /// Where the bytes are no code; nil: everywhere they are.
  private(set) var undecoded: UInt64?
  /// The C runtime's own variable, which says that destructors have run: `completed.0`.
  private(set) var runtimeFlag: UInt64?

  /// - Parameter view: the image's bytes, as in the file.
  init(_ file: LibraryFile, _ view: SegmentView) {
    let walker = CodeReferences()
    for (index, section) in file.sections.sections.enumerated()
    where section.isExecutable && section.isAllocated && section.size > 0 && !section.isNoBits
      && !file.sections.name(ofSection: index).hasPrefix(".plt")
    {
      var starts = Set(
        file.functions.lazy.filter { $0.section == index }.map(\.address))
      starts.insert(section.address)
      for start in UnwindHeader.starts(file, view)
      where start &- section.address < section.size {
        starts.insert(start)
      }
      let sorted = starts.sorted() + [section.address &+ section.size]
      for (start, end) in zip(sorted, sorted.dropFirst()) where end > start {
        let first = references.count
        guard let bytes = view.pointer(start, end - start),
          walker.collect(
            in: UnsafeRawBufferPointer(start: bytes, count: Int(end - start)), at: start,
            into: &references)
        else {
          if undecoded == nil { undecoded = start }
          continue
        }
        stretches.append(Stretch(range: start..<end, references: first..<references.count))
      }
    }
    // crtbeginS.o's __do_global_dtors_aux begins with `cmpb $0, completed.0(%rip)`.
    for table in file.initialiserTables(ofType: 15) where runtimeFlag == nil {
      guard case .own(let start)? = file.words[table.lowerBound]?.target else { continue }
      runtimeFlag =
        references.first { $0.kind == .access && $0.field &- start < 8 }?.target
    }
    stretches.sort { $0.range.lowerBound < $1.range.lowerBound }
  }

  /// The stretch that begins at a virtual address.
  func stretch(at address: UInt64) -> Stretch? {
    var low = 0
    var high = stretches.count
    while low < high {
      let middle = (low + high) / 2
      if stretches[middle].range.lowerBound < address { low = middle + 1 } else { high = middle }
    }
    return low < stretches.count && stretches[low].range.lowerBound == address
      ? stretches[low] : nil
  }

  /// A number for each named function that changes when what it does changes: bytes without
  /// displacements, and what these lead to.
  func fingerprints(_ file: LibraryFile, _ view: SegmentView) -> [String: UInt64] {
    var found: [String: UInt64] = [:]
    for function in file.functions where function.size > 0 {
      guard let stretch = stretch(at: function.address),
        let bytes = view.pointer(function.address, function.size)
      else { continue }
      var hash = FunctionContents.start
      var position = stretch.references.lowerBound
      var offset: UInt64 = 0
      while offset < function.size {
        if position < stretch.references.upperBound,
          references[position].field == function.address + offset
        {
          let reference = references[position]
          mix(&hash, meaning(of: reference, from: function, file, view))
          position += 1
          offset += 4
          continue
        }
        FunctionContents.mix(
          &hash, UInt64(bytes.load(fromByteOffset: Int(offset), as: UInt8.self)))
        offset += 1
      }
      found[function.fingerprintName] = hash
    }
    return found
  }

  private func mix(_ hash: inout UInt64, _ text: some Sequence<UInt8>) {
    for byte in text { FunctionContents.mix(&hash, UInt64(byte)) }
  }

  /// What a displacement leads to, in words that two versions share.
  private func meaning(
    of reference: CodeReference, from function: LibrarySymbol, _ file: LibraryFile,
    _ view: SegmentView
  ) -> [UInt8] {
    let target = reference.target
    if target &- function.address < function.size {
      return Array("+\(target - function.address)".utf8)
    }
    // Through the GOT.
    if reference.kind == .access, let word = file.words[target] {
      return file.meaning(of: word.target)
    }
    let meaning = file.meaning(of: target)
    guard meaning.first == 0x22, reference.kind == .access else { return meaning }
    // A number, not a string: its width is not known.
    return (0..<8).map { view.pointer(target &+ $0, 1)?.load(as: UInt8.self) ?? 0 }
  }
}

/// Where functions begin according to `.eh_frame_hdr`. LSB 5.0, “Exception Frames”.
private enum UnwindHeader {
  static func starts(_ file: LibraryFile, _ view: SegmentView) -> [UInt64] {
    guard let range = file.headers.unwindHeader, let tail = view.tail(range.lowerBound),
      tail.count >= 12, tail.pointer.load(as: UInt8.self) == 1,
      tail.pointer.load(fromByteOffset: 2, as: UInt8.self) == 0x03,  // udata4
      tail.pointer.load(fromByteOffset: 3, as: UInt8.self) == 0x3B  // datarel, sdata4
    else { return [] }
    let count = UInt64(tail.pointer.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    guard 12 + count * 8 <= tail.count else { return [] }
    return (0..<Int(count)).map { index in
      let distance = tail.pointer.loadUnaligned(fromByteOffset: 12 + index * 8, as: Int32.self)
      return range.lowerBound &+ UInt64(bitPattern: Int64(distance))
    }
  }
}

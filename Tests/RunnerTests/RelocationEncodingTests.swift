// The same object with its relocations in SHT_RELA, SHT_REL and SHT_CREL links to the same bytes; whole objects of
// compilers, section by section, are what ld.lld makes of them at the same addresses; and GOTPCRELX is relaxed as
// ld.lld relaxes it.
import Foundation
import Testing

@Suite struct RelocationEncodingTests {
  /// `object` with its addends moved into the fields: SHT_REL.
  static func implicit(_ path: String) throws -> [UInt8] {
    let object = try ElfBytes(path)
    var bytes = object.bytes
    let headers = object.word(40, 8)
    for list in object.sections where list.type == 4 {
      let target = object.sections[list.info]
      let records = object.relocations.filter {
        $0.section == list.info && $0.record >= list.offset
          && $0.record < list.offset + list.size
      }
      for (number, record) in records.enumerated() {
        let field = target.offset + Int(record.offset)
        Bytes.overwrite(
          &bytes, at: field,
          with: le(UInt64(bitPattern: record.addend), ElfBytes.width(record.type)))
        let at = list.offset + number * 16
        Bytes.overwrite(
          &bytes, at: at,
          with: le(record.offset, 8) + le(UInt64(record.type), 4) + le(UInt64(record.symbol), 4))
      }
      let header = headers + list.index * 64
      Bytes.overwrite(&bytes, at: header + 4, with: le(9, 4))
      Bytes.overwrite(&bytes, at: header + 32, with: le(UInt64(records.count * 16), 8))
      Bytes.overwrite(&bytes, at: header + 56, with: le(16, 8))
    }
    return bytes
  }

  /// `object` with SHT_CREL instead: its addends in the records, or in the fields.
  static func compact(_ path: String, hasAddends: Bool) throws -> [UInt8] {
    let object = try ElfBytes(path)
    var bytes = object.bytes
    let headers = object.word(40, 8)
    for list in object.sections where list.type == 4 {
      let target = object.sections[list.info]
      let records = object.relocations.filter {
        $0.section == list.info && $0.record >= list.offset
          && $0.record < list.offset + list.size
      }
      var out: [UInt8] = []
      func unsigned(_ value: UInt64) {
        var value = value
        repeat {
          out.append(UInt8(value & 0x7F) | (value > 0x7F ? 0x80 : 0))
          value >>= 7
        } while value > 0
      }
      func signed(_ value: Int64) {
        var value = value
        while true {
          let byte = UInt8(truncatingIfNeeded: value & 0x7F)
          value >>= 7
          let isLast = (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0)
          out.append(isLast ? byte : byte | 0x80)
          if isLast { return }
        }
      }
      unsigned(UInt64(records.count) << 3 | (hasAddends ? 4 : 0))
      let bits: UInt64 = hasAddends ? 3 : 2
      var last = ElfBytes.Relocation(section: 0, offset: 0, type: 0, symbol: 0, addend: 0)
      for record in records {
        let delta = record.offset &- last.offset
        let flags: UInt64 =
          (record.symbol != last.symbol ? 1 : 0) | (record.type != last.type ? 2 : 0)
          | (hasAddends && record.addend != last.addend ? 4 : 0)
        let room = 7 - bits
        if delta < 1 << room {
          out.append(UInt8(delta << bits | flags))
        } else {
          out.append(UInt8((delta & ((1 << room) - 1)) << bits | flags | 0x80))
          unsigned(delta >> room)
        }
        if flags & 1 != 0 { signed(Int64(record.symbol - last.symbol)) }
        if flags & 2 != 0 { signed(Int64(record.type - last.type)) }
        if flags & 4 != 0 { signed(record.addend &- last.addend) }
        if !hasAddends {
          Bytes.overwrite(
            &bytes, at: target.offset + Int(record.offset),
            with: le(UInt64(bitPattern: record.addend), ElfBytes.width(record.type)))
        }
        last = record
      }
      #expect(out.count <= list.size)
      Bytes.overwrite(&bytes, at: list.offset, with: out)
      let header = headers + list.index * 64
      Bytes.overwrite(&bytes, at: header + 4, with: le(0x4000_0014, 4))
      Bytes.overwrite(&bytes, at: header + 32, with: le(UInt64(out.count), 8))
      Bytes.overwrite(&bytes, at: header + 56, with: le(1, 8))
    }
    return bytes
  }

  @Test(arguments: [["-O1"], ["-O2", "-fPIC", "-g"], ["-O1", "-mcmodel=large"]])
  func encodingsMeanTheSame(_ flags: [String]) throws {
    let folder = try TemporaryFolder()
    let options = ["--base", "0x20000000", "--direct"]
    let files = try OutsideCheckerTests.objects(.init(compiler: .gcc, flags: flags), in: folder)
    let plain = try CheckedLink(of: files, options)
    let encodings: [(String) throws -> [UInt8]] = [
      RelocationEncodingTests.implicit,
      { try RelocationEncodingTests.compact($0, hasAddends: true) },
      { try RelocationEncodingTests.compact($0, hasAddends: false) },
    ]
    let originals = files.map { folder.bytes(URL(filePath: $0).lastPathComponent) }
    for encode in encodings {
      for file in files { try Data(try encode(file)).write(to: URL(filePath: file)) }
      let link = try CheckedLink(of: files, options)
      #expect(link.relocations == plain.relocations && plain.relocations > 30)
      for (ours, wanted) in zip(link.sections, plain.sections) {
        #expect(ours.bytes == wanted.bytes && ours.address == wanted.address, "\(ours.name)")
      }
      // And ld.lld, which reads all three, agrees that it is the same object.
      var checker = OutsideChecker(link)
      for file in files { try checker.check(file) }
      #expect(checker.faults.isEmpty, "\(checker.faults.prefix(3))")
      for (file, bytes) in zip(files, originals) { try Data(bytes).write(to: URL(filePath: file)) }
    }
  }

  @Test func anAssemblersOwnCompactRelocations() throws {
    let folder = try TemporaryFolder()
    let options = ["--base", "0x20000000", "--direct"]
    let flags = ["-O2", "-fno-pic", "-ffunction-sections"]
    let plain = try OutsideCheckerTests.objects(.init(compiler: .clang, flags: flags), in: folder)
    let wanted = try CheckedLink(of: plain, options)
    let packed = try OutsideCheckerTests.objects(
      .init(compiler: .clang, flags: flags + ["-Wa,--crel,--allow-experimental-crel"]), in: folder)
    #expect(try ElfBytes(packed[0]).sections.contains { $0.type == 0x4000_0014 })
    let link = try CheckedLink(of: packed, options)
    #expect(link.sections.map(\.bytes) == wanted.sections.map(\.bytes))
    #expect(link.relocations == wanted.relocations && link.relocations > 30)
    let oracle = try Oracle(packed, at: link, in: folder)
    for section in link.sections
    where section.nobits != true && section.name != ".eh_frame" && section.size > 0 {
      let (ours, theirs) = try RelocationEncodingTests.comparable(section, link, oracle)
      #expect(ours == theirs, "\(section.name) of \(section.image)")
    }
  }

  @Test func addendsHaveTheWidthAndSignOfTheirFields() throws {
    let folder = try TemporaryFolder()
    let types = [(1, -2), (10, 3), (11, -3), (12, -4), (14, -5), (24, -6), (2, -7), (13, -8)]
    var source = ".section .mine,\"aw\",@progbits\n"
    for _ in types { source += "0: .reloc 0b, R_X86_64_64, value\n.zero 8\n" }
    try folder.write(source, to: "unit.s")
    let path = folder.path("unit.o")
    try Tool.output("gcc", ["-c", folder.path("unit.s"), "-o", path])
    let object = try ElfBytes(path)
    var bytes = object.bytes
    for ((type, addend), relocation) in zip(types, object.relocations) {
      Bytes.overwrite(&bytes, at: relocation.record + 8, with: le(UInt64(type), 4))
      Bytes.overwrite(
        &bytes, at: relocation.record + 16, with: le(UInt64(bitPattern: Int64(addend)), 8))
    }
    try folder.write(bytes, to: "unit.o")
    let options = ["--base", "0x1000", "--direct", "--define", "value=0x60"]
    let explicit = try CheckedLink(of: [path], options).section(".mine").bytes
    let oracle = try Tool.run(
      Oracle.program,
      [
        "-e", "0", "-o", "program", "--image-base=0", "--section-start=.mine=0x1000",
        "--defsym=value=0x60", "unit.o",
      ],
      directory: folder.root)
    #expect(oracle.code == 0, "\(oracle.stderr)")
    try folder.write(try RelocationEncodingTests.implicit(path), to: "unit.o")
    let link = try CheckedLink(of: [path], options)
    #expect(try link.section(".mine").bytes == explicit)
    if try link.section(".mine").address == 0x1000, oracle.code == 0 {
      let program = try ElfBytes(folder.path("program"))
      let theirs = try #require(program.section(".mine"))
      #expect(try link.section(".mine").contents == Array(program.contents(theirs)))
    }
  }

  /// What both made of a section, without what must differ: ld.lld turns initial-exec into local-exec, and the GOTs
  /// are two. `valueIsThatOfAnotherLinker` looks into them.
  private static func comparable(
    _ section: CheckedLink.Section, _ link: CheckedLink, _ oracle: Oracle
  ) throws -> (ours: [UInt8], theirs: [UInt8]) {
    var (ours, theirs) = (section.contents, try oracle.bytes(section))
    guard ours.count == theirs.count else { return (ours, theirs) }
    let object = try ElfBytes(section.image)
    for relocation in object.relocations where relocation.section == section.index {
      guard [3, 9, 22, 27, 41, 42].contains(relocation.type),
        !link.relaxed.contains(where: {
          $0.image == section.image && $0.section == section.index
            && $0.offset == relocation.offset
        })
      else { continue }
      let at = Int(relocation.offset)
      for byte in max(0, at - 3)..<at + ElfBytes.width(relocation.type) {
        ours[byte] = 0
        theirs[byte] = 0
      }
    }
    return (ours, theirs)
  }

  static let wholeObjects: [(Compiler, [String])] = [
    (.gcc, ["-O0", "-fno-pic"]),
    (.gcc, ["-O2", "-fno-pic", "-ffunction-sections", "-fdata-sections"]),
    (.gcc, ["-O2", "-fPIC", "-ftls-model=initial-exec"]),
    (.gcc, ["-O2", "-fPIC", "-fno-plt", "-ftls-model=local-exec"]),
    (.gcc, ["-O1", "-mcmodel=medium", "-fno-pic"]), (.gcc, ["-O1", "-mcmodel=large", "-fno-pic"]),
    (.clang, ["-O2", "-fno-pic"]), (.clang, ["-O1", "-fPIE", "-ffunction-sections"]),
    (.clang, ["-O1", "-mcmodel=large", "-fno-pic"]),
  ]

  /// Sections of real objects, byte by byte. Only GOT entries of thread-local variables may lie elsewhere.
  @Test(arguments: wholeObjects)
  func sectionsAreThoseOfAnotherLinker(_ compiler: Compiler, _ flags: [String]) throws {
    let folder = try TemporaryFolder()
    let files = try OutsideCheckerTests.objects(.init(compiler: compiler, flags: flags), in: folder)
    let link = try CheckedLink(of: files, ["--base", "0x20000000", "--direct"])
    let oracle = try Oracle(files, at: link, in: folder)
    var compared = 0
    for section in link.sections where section.nobits != true && section.size > 0 {
      guard section.name != ".eh_frame" else { continue }
      let (ours, theirs) = try RelocationEncodingTests.comparable(section, link, oracle)
      #expect(ours == theirs, "\(section.name) of \(section.image)")
      compared += ours.count
    }
    #expect(compared > 300)
  }

  static let forms = """
    .text
    .globl start
    start:
    call *code@GOTPCREL(%rip)
    jmp *code@GOTPCREL(%rip)
    mov target@GOTPCREL(%rip), %rax
    mov target@GOTPCREL(%rip), %r15
    mov target@GOTPCREL(%rip), %ecx
    movl target@GOTPCREL(%rip), %r9d
    test %rdx, target@GOTPCREL(%rip)
    test %r12, target@GOTPCREL(%rip)
    test %esi, target@GOTPCREL(%rip)
    adc target@GOTPCREL(%rip), %rax
    add target@GOTPCREL(%rip), %rbx
    and target@GOTPCREL(%rip), %r8
    cmp target@GOTPCREL(%rip), %rdi
    or target@GOTPCREL(%rip), %r13
    sbb target@GOTPCREL(%rip), %rbp
    sub target@GOTPCREL(%rip), %r10
    xor target@GOTPCREL(%rip), %rsp
    xor target@GOTPCREL(%rip), %edx
    add target@GOTPCREL(%rip), %r14d
    push target@GOTPCREL(%rip)
    mov target@GOTPCREL+4(%rip), %rax
    imul target@GOTPCREL(%rip), %rax
    .byte 0x66, 0x48
    call *code@GOTPCREL(%rip)
    .globl code; .type code,@function; .hidden code
    code: ret
    .size code, 1
    .data
    .globl target; .type target,@object; .hidden target
    target: .quad 1, 2, 3
    .size target, 24

    """

  @Test func loadsBecomeWhatAnotherLinkerMakesOfThem() throws {
    let folder = try TemporaryFolder()
    try folder.write(RelocationEncodingTests.forms, to: "unit.s")
    let file = folder.path("unit.o")
    try Tool.output("gcc", ["-c", folder.path("unit.s"), "-o", file])
    let link = try CheckedLink(of: [file], ["--base", "0x400000", "--direct"])
    let text = try link.section(".text")
    #expect(
      link.relaxed.map(\.form) == ["call", "jump"] + [String](repeating: "lea", count: 4)
        + [String](repeating: "immediate", count: 13))
    var checker = OutsideChecker(link)
    try checker.check(file)
    #expect(checker.faults.isEmpty, "\(checker.faults)")
    #expect(checker.rewritten == 19)
    var (ours, theirs) = (text.contents, try Oracle([file], at: link, in: folder).bytes(text))
    // Four loads remain, one of them as __tls_get_addr is called: the checker has looked at them.
    let object = try ElfBytes(file)
    let kept = object.relocations.filter { relocation in
      !link.relaxed.contains { $0.offset == relocation.offset }
    }
    #expect(kept.count == 4)
    // ld.lld leaves operations of 32 bits as they are, which ABI and GNU ld do not.
    for relocation in object.relocations where relocation.type == 41 {
      let at = Int(relocation.offset)
      guard
        link.relaxed.contains(where: { $0.offset == relocation.offset && $0.form == "immediate" })
      else { continue }
      let isLong = theirs[at - 3] & 0xF0 == 0x40
      #expect(!isLong)
      for byte in at - 2..<at + 4 {
        ours[byte] = 0
        theirs[byte] = 0
      }
    }
    for relocation in kept {
      for byte in -2..<4 {
        ours[Int(relocation.offset) + byte] = 0
        theirs[Int(relocation.offset) + byte] = 0
      }
    }
    #expect(ours == theirs)
    // Unrelaxed, all are loads.
    let loads = try CheckedLink(of: [file], ["--base", "0x400000", "--direct", "--no-relax"])
    #expect(loads.relaxed.isEmpty && loads.got.map(\.symbol).sorted() == ["code", "target"])
  }

  /// Beyond 2 GiB no number of 32 bits holds the address: `lea` remains, operations stay loads.
  @Test func whatDoesNotFitIsNotRewritten() throws {
    let folder = try TemporaryFolder()
    try folder.write(RelocationEncodingTests.forms, to: "unit.s")
    let file = folder.path("unit.o")
    try Tool.output("gcc", ["-c", folder.path("unit.s"), "-o", file])
    let link = try CheckedLink(of: [file], ["--base", "0x7fff00000000", "--direct"])
    #expect(link.relaxed.map(\.form) == ["call", "jump", "lea", "lea", "lea", "lea"])
    var checker = OutsideChecker(link)
    try checker.check(file)
    #expect(checker.faults.isEmpty, "\(checker.faults)")
    // A session may move data: there its loads stay. A function's stub never moves.
    let session = try CheckedLink(of: [file], ["--base", "0x400000"])
    #expect(session.relaxed.map(\.form) == ["call", "jump"])
  }

  @Test func codeThatIsAPXIsRewritten() throws {
    let folder = try TemporaryFolder()
    // R_X86_64_CODE_4_GOTPCRELX, as LLVM's assembler writes it: registers 16 to 31.
    try folder.write(
      """
      .text
      mov target@GOTPCREL(%rip), %r16
      mov target@GOTPCREL(%rip), %r31
      add target@GOTPCREL(%rip), %r20
      test %r25, target@GOTPCREL(%rip)
      .data
      .globl target; .hidden target
      target: .quad 1

      """, to: "unit.s")
    let file = folder.path("unit.o")
    try Tool.output("clang", ["-c", folder.path("unit.s"), "-o", file])
    let types = try ElfBytes(file).relocations.map(\.type)
    #expect(types == [43, 43, 43, 43])
    let link = try CheckedLink(of: [file], ["--base", "0x400000", "--direct"])
    #expect(link.relaxed.map(\.form) == ["lea", "lea", "immediate", "immediate"])
    var checker = OutsideChecker(link)
    try checker.check(file)
    #expect(checker.faults.isEmpty, "\(checker.faults)")
    #expect(checker.rewritten == 4)
  }
}

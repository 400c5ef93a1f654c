// Everything an ELF file says about itself, as plain values: any class, byte order and machine. For
// looking, not for linking; the linker reads objects of its own machine in place (ObjectFile).
// gABI, chapters 4 and 5.

/// The contents of an ELF file's headers and tables. All numbers are as the file has them.
package struct ElfScan: Sendable {
  package struct Segment: Sendable {
    package var type: UInt32
    package var flags: UInt32
    package var offset: UInt64
    package var address: UInt64
    package var physicalAddress: UInt64
    /// Sizes in bytes, in the file and in memory.
    package var fileSize: UInt64
    package var memorySize: UInt64
    package var alignment: UInt64
  }

  package struct Section: Sendable {
    package var name: String
    package var type: UInt32
    package var flags: UInt64
    package var address: UInt64
    package var offset: UInt64
    package var size: UInt64
    package var link: UInt32
    package var info: UInt32
    package var alignment: UInt64
    package var entrySize: UInt64
  }

  package enum Place: Sendable, Equatable {
    case undefined, absolute, common
    case section(Int)
    /// An index only the machine or the system gives a meaning.
    case reserved(UInt16)
  }

  package struct Symbol: Sendable {
    /// Its own name; that of its section when it stands for one.
    package var name: String
    package var value: UInt64
    package var size: UInt64
    package var type: UInt8
    package var binding: UInt8
    package var visibility: UInt8
    package var place: Place
  }

  /// One symbol table: `.symtab` or `.dynsym`.
  package struct SymbolTable: Sendable {
    /// Index of its section.
    package var section: Int
    package var symbols: [Symbol]
  }

  package struct Relocation: Sendable {
    /// Offset into the section in objects; address in images.
    package var offset: UInt64
    package var type: UInt32
    /// Name of the symbol; empty for none.
    package var symbol: String
    /// nil where the field itself holds it (SHT_REL, SHT_RELR).
    package var addend: Int64?
  }

  /// One relocation section.
  package struct RelocationTable: Sendable {
    /// Index of its section.
    package var section: Int
    /// Index of the section it applies to; 0 when it says none.
    package var target: Int
    package var relocations: [Relocation]
  }

  package struct DynamicEntry: Sendable {
    package var tag: Int64
    package var value: UInt64
    /// What the value names in the string table, for tags that name something.
    package var text: String?
  }

  package struct Note: Sendable {
    /// The section it stands in; empty when it was found by its segment.
    package var section: String
    package var owner: String
    package var type: UInt32
    package var descriptor: [UInt8]
  }

  package struct Group: Sendable {
    package var section: Int
    package var signature: String
    package var isComdat: Bool
    package var members: [Int]
  }

  package var is64Bit = true
  package var isBigEndian = false
  package var osABI: UInt8 = 0
  package var type: UInt16 = 0
  package var machine: UInt16 = 0
  package var flags: UInt32 = 0
  package var entry: UInt64 = 0
  package var segments: [Segment] = []
  package var sections: [Section] = []
  package var symbolTables: [SymbolTable] = []
  package var relocationTables: [RelocationTable] = []
  package var dynamic: [DynamicEntry] = []
  package var notes: [Note] = []
  package var groups: [Group] = []

  /// Reads all of a file.
  ///
  /// - Throws: `LinkError.notELF`, or `.malformed` for the first claim that does not hold.
  package init(_ bytes: Bytes, name: String) throws(LinkError) {
    var reader = try ElfReader(bytes, name: name)
    self = try reader.read()
  }

  init() {}

  /// The descriptor of the GNU build id note (ELF: NT_GNU_BUILD_ID), if there is one.
  package var buildID: [UInt8]? {
    notes.first { $0.owner == "GNU" && $0.type == 3 }?.descriptor
  }

  /// The section a relocation stands in: named by its table in objects, found by address in images.
  package func section(of relocation: Relocation, in table: RelocationTable) -> Int? {
    guard type != 1 else { return sections.indices.contains(table.target) ? table.target : nil }
    return sections.firstIndex { section in
      section.flags & 2 != 0 && section.type != 0
        && !(section.type == 8 && section.flags & 0x400 != 0)
        && relocation.offset >= section.address
        && relocation.offset - section.address < section.size
    }
  }
}

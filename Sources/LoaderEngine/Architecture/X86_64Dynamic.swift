// The relocations that a shared object or executable may leave to its loader. psABI AMD64 1.0, table 4.9,
// as glibc's ld.so handles it; `B` is where the image was loaded.

extension X86_64 {
  /// Relocation types of dynamic images by number.
  package enum Dynamic {
    package static let none: UInt32 = 0
    /// S + A
    package static let word64: UInt32 = 1
    /// S + A - P, 32 bits
    package static let pc32: UInt32 = 2
    /// The bytes of S are copied here: an executable's own copy of a library's variable
    package static let copy: UInt32 = 5
    /// S
    package static let globalData: UInt32 = 6
    /// S, now or at the first call
    package static let jumpSlot: UInt32 = 7
    /// B + A
    package static let relative: UInt32 = 8
    /// S + A, 32 bits, zero-extended
    package static let word32: UInt32 = 10
    /// the module that defines S
    package static let module: UInt32 = 16
    /// offset of S in its module's block, + A
    package static let moduleOffset: UInt32 = 17
    /// offset of S from the thread pointer, + A
    package static let threadOffset: UInt32 = 18
    /// S + A - P, 64 bits
    package static let pc64: UInt32 = 24
    /// Z + A
    package static let size32: UInt32 = 32
    package static let size64: UInt32 = 33
    /// two words: a function that returns S's offset from the thread pointer, and its argument
    package static let descriptor: UInt32 = 36
    /// what the function at B + A returns
    package static let indirect: UInt32 = 37
    /// B + A (x32; the same here)
    package static let relative64: UInt32 = 38
  }

  /// The psABI's name of a relocation type in a dynamic image.
  package static func dynamicName(_ type: UInt32) -> String {
    switch type {
    case Dynamic.copy: "R_X86_64_COPY"
    case Dynamic.globalData: "R_X86_64_GLOB_DAT"
    case Dynamic.jumpSlot: "R_X86_64_JUMP_SLOT"
    case Dynamic.relative: "R_X86_64_RELATIVE"
    case Dynamic.module: "R_X86_64_DTPMOD64"
    case Dynamic.descriptor: "R_X86_64_TLSDESC"
    case Dynamic.indirect: "R_X86_64_IRELATIVE"
    case Dynamic.relative64: "R_X86_64_RELATIVE64"
    default: row(type).map { String(describing: $0.name) } ?? "relocation type \(type)"
    }
  }
}

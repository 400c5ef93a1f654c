// The program that objects were linked into, as one image among those of the process: runtimes of languages look for the
// image that they are called from, to know where its data and code are (D's collector scans them). Linux:
// dl_iterate_phdr(3).
internal import CLoaderSupport
internal import Glibc

package enum ProgramImage {
  /// Tells what the program occupies so far; again whenever that may have grown.
  package static func set(_ arena: Arena, named name: String) {
    let kinds: [(Arena.Kind, Int32)] = [
      (.text, PF_R | PF_X), (.constants, PF_R), (.data, PF_R | PF_W),
    ]
    let segments = kinds.map { kind, flags in
      let extent = arena.extent(kind)
      return hl_program_segment(
        start: UInt(extent.start.value), size: Int(extent.size), flags: UInt32(flags))
    }
    hl_live_program_set(name, segments, segments.count)
  }

  /// Lets the process's libraries see it, too: those that are there by now.
  package static func show() { hl_live_program_show() }
}

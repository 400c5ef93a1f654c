// What a process is given for the program in it, before its first initialiser: its name, its signals, an entry among the
// images of the process, and stacks that code may run on. gcc puts a few instructions there to pass on a function inside a function, and says so in the object
// (`.note.GNU-stack` with SHF_EXECINSTR); ld then makes a program whose stacks may be executed. So do we, and
// only then. docs/decisions/0023.
internal import CLoaderSupport
internal import LoaderEngine

extension Program {
  func adaptProcess(to prepared: PreparedReload) {
    if options.isWholeProcess {
      // No file's name: who reads debug data by it would read an object, or an archive, as an image.
      ProgramImage.set(space.arena, named: "hotlink:" + (options.arguments.first ?? ""))
      if generation.number == 1 { ProgramImage.show() }
    }
    if options.isWholeProcess, generation.number == 1 {
      LinkedCode.setSwiftArguments(arguments, options.arguments)
      LinkedCode.nameProgram(options.arguments.first ?? "hotlink")
      // The reporter came with our runtime. A program without one crashes silently.
      if prepared.report.swiftRegistrations == 0 { LinkedCode.removeCrashReporter() }
    }
    guard !hasExecutableStacks, prepared.asksForExecutableStack else { return }
    hasExecutableStacks = CompanionLibrary.makeStacksExecutable()
  }
}

extension ObjectFile {
  var asksForExecutableStack: Bool {
    sections.indices.contains {
      sections[$0].isExecutable && !sections[$0].isAllocated
        && isSection($0, named: ".note.GNU-stack")
    }
  }
}

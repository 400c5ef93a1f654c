// What a session's options mean to its program and to the linker.
internal import LoaderEngine

extension Program {
  struct Options {
    var isStrict = false
    /// Units are linked when they are needed.
    var isLazy = false
    var allowUndefined = false
    /// Names that the host asks for.
    var wanted: [String] = []
    /// What nothing of these leads to is left out of the first link.
    var deadStripRoots: [String]?
    /// Code and data lie below 2 GiB.
    var isLow = false
    /// The process is the program's alone.
    var isWholeProcess = false
    var arguments: [String] = []
    var debugging = Session.Debugging.lazy
    var profiling = Session.Profiling.off
    /// What is done when kept data has another layout.
    var layouts = LayoutPolicies()
    /// What becomes of state where there is a choice.
    var states = StatePolicies()
    /// Which functions changed is looked at when the reload has taken effect.
    var comparesLate = false
    private var binding = Session.Options()

    init(_ options: Session.Options) {
      isStrict = options.isStrict
      isLazy = options.isLazy && !options.isStrict
      allowUndefined = options.allowUndefined
      wanted = options.wanted
      deadStripRoots = options.deadStripRoots
      isWholeProcess = options.isWholeProcess
      arguments = options.arguments
      debugging = options.debugging
      profiling = options.profiling
      layouts = options.layouts
      states = options.states
      comparesLate = options.finishesInBackground
      binding = options
    }

    /// Where nothing runs; nil: in the process's own arena.
    var layout: ArenaLayout? { binding.layout?.layout }

    /// - Parameter libraries: whether shared objects are among the units: their code is led to stubs.
    func bind(_ link: inout LinkOptions, libraries: Bool) {
      link.defines = binding.defines
      // What will not be reloaded is bound as ld would: an alias has its function's address.
      link.bindsDirectly = binding.bindsDirectly || (isWholeProcess && !libraries)
      link.mergesConstants = binding.mergesConstants
      link.notesRelaxations = binding.notesRelaxations
      switch binding.relaxation {
      case .none: link.relaxation = .none
      case .functions: link.relaxation = .functions
      case .all: link.relaxation = .all
      }
    }
  }
}

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
    /// Below 2 GiB.
    var isLow = false
    var arguments: [String] = []
    private var binding = Session.Options()

    init(_ options: Session.Options) {
      isStrict = options.isStrict
      isLazy = options.isLazy && !options.isStrict
      allowUndefined = options.allowUndefined
      wanted = options.wanted
      deadStripRoots = options.deadStripRoots
      arguments = options.arguments
      binding = options
    }

    /// Where nothing runs; nil: in the process's own arena.
    var layout: ArenaLayout? { binding.layout?.layout }

    func bind(_ link: inout LinkOptions) {
      link.defines = binding.defines
      link.bindsDirectly = binding.bindsDirectly
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

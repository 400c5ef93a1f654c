// Calls into code that was linked: the one place where an address becomes a call.
internal import CLoaderSupport
internal import Glibc

/// argc and argv for linked code, alive as long as this.
package final class ArgumentVector: @unchecked Sendable {
  fileprivate let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  fileprivate let count: Int32

  package init(_ arguments: [String]) {
    count = Int32(arguments.count)
    pointers = .allocate(capacity: arguments.count + 1)
    for (index, argument) in arguments.enumerated() { pointers[index] = strdup(argument) }
    pointers[arguments.count] = nil
  }

  /// What the process was started with.
  package static let ofProcess = ArgumentVector(CommandLine.arguments)

  deinit {
    for index in 0..<Int(count) { free(pointers[index]) }
    pointers.deallocate()
  }
}

/// What a host calls. The address must be that of a function with the type the call implies; it runs
/// on the calling thread.
package enum LinkedCode {
  /// `void f(int argc, char **argv, char **envp)`, as ld.so calls initialisers.
  package static func initialise(_ function: Address, _ arguments: ArgumentVector) {
    guard let pointer = function.pointer else { return }
    hl_call_initialiser(pointer, arguments.count, arguments.pointers, hl_environment())
  }

  /// `int main(int argc, char **argv, char **envp)`
  package static func main(_ function: Address, _ arguments: ArgumentVector) -> Int32 {
    guard let pointer = function.pointer else { return -1 }
    return hl_call_main(pointer, arguments.count, arguments.pointers, hl_environment())
  }

  /// Begins at `_start`, as the kernel would: the stack holds argc, argv, envp and the auxiliary vector.
  package static func enter(_ function: Address, _ arguments: ArgumentVector) -> Never {
    guard let pointer = function.pointer else { exit(127) }
    hl_enter_program(pointer, arguments.count, arguments.pointers, hl_environment())
  }

  /// Makes the process known by the name of the program it runs.
  package static func nameProgram(_ name: String) { hl_name_program(name) }

  /// What Swift code finds in `CommandLine`: this program's arguments instead of the process's.
  package static func setSwiftArguments(_ arguments: ArgumentVector, _ texts: [String]) {
    // Sound: an Array is one reference. The setter, which Swift 6 lets nobody name, takes this one over.
    let kept = UnsafeMutablePointer<[String]>.allocate(capacity: 1)
    kept.initialize(to: texts)
    let array = UnsafeRawPointer(kept).load(as: UnsafeRawPointer.self)
    hl_set_swift_arguments(arguments.count, arguments.pointers, array)
    UnsafeMutableRawPointer(kept).deallocate()
  }

  /// Takes the Swift runtime's crash reporter out: a program without Swift has none.
  package static func removeCrashReporter() { _ = hl_reset_handlers("libswiftCore") }

  /// `void *f(void)`: an IFUNC's resolver.
  package static func resolve(_ function: Address) -> Address {
    guard let pointer = function.pointer, let chosen = hl_call_resolver(pointer) else {
      return Address(0)
    }
    return Address(chosen)
  }

  /// `void f(void)`
  package static func call(_ function: Address) {
    if let pointer = function.pointer { hl_call_void(pointer) }
  }

  /// What a hook is told.
  package struct Reload: Sendable {
    package var from = 0
    package var to = 0
    package var units = 0
    package var changed = 0
    package var added = 0
    package var removed = 0

    package init() {}
  }

  /// `void f(hotlink_reload *)`
  ///
  /// - Parameter unit: whose hook it is; nil: the program's.
  package static func hook(_ function: Address, _ reload: Reload, unit: String?) {
    guard let pointer = function.pointer else { return }
    var argument = hl_reload(
      from: UInt64(reload.from), to: UInt64(reload.to), units: UInt32(clamping: reload.units),
      changed: UInt32(clamping: reload.changed), added: UInt32(clamping: reload.added),
      removed: UInt32(clamping: reload.removed), unit: nil)
    guard let unit else { return hl_call_hook(pointer, &argument) }
    unit.withCString {
      argument.unit = $0
      hl_call_hook(pointer, &argument)
    }
  }

  /// `void f(const void *old, size_t old_size, void *new, size_t new_size)`
  package static func migrate(
    _ function: Address, _ old: UnsafeRawPointer, _ oldSize: UInt64, _ new: Address,
    _ newSize: UInt64
  ) {
    guard let pointer = function.pointer else { return }
    hl_call_migration(
      pointer, old, Int(oldSize), UnsafeMutableRawPointer(mutating: new.pointer), Int(newSize))
  }

  /// Where a C function of the host begins.
  ///
  /// - Parameter function: of a `@convention(c)` type.
  package static func address<Function>(of function: Function) -> Address {
    precondition(MemoryLayout<Function>.size == 8, "not a C function pointer type")
    // Sound: a C function's value is its address.
    return Address(unsafeBitCast(function, to: UInt64.self))
  }

  /// Runs and forgets what was registered with `__cxa_atexit` for a `__dso_handle`.
  package static func runExitHandlers(of handle: Address) { hl_run_exit_handlers(handle.pointer) }

  /// Runs and forgets, newest first, the handlers that linked code registered and that belong to something.
  ///
  /// - Parameter isOwned: told the function, its argument, and the address from which it was registered.
  package static func runExitHandlers(
    where isOwned: (_ function: Address, _ argument: Address, _ caller: Address) -> Bool
  ) {
    withoutActuallyEscaping(isOwned) { isOwned in
      let question = Question(isOwned)
      hl_run_handlers_of(
        { context, handler in
          guard let context, let handler = handler?.pointee else { return 0 }
          // Sound: `question` lives until the call is over.
          let question = Unmanaged<Question>.fromOpaque(context).takeUnretainedValue()
          func address(_ pointer: UnsafeRawPointer?) -> Address {
            pointer.map { Address($0) } ?? Address(0)
          }
          return question.isOwned(
            address(handler.function), address(handler.argument), address(handler.caller)) ? 1 : 0
        }, Unmanaged.passUnretained(question).toOpaque())
      withExtendedLifetime(question) {}
    }
  }

  private final class Question {
    let isOwned: (Address, Address, Address) -> Bool
    init(_ isOwned: @escaping (Address, Address, Address) -> Bool) { self.isOwned = isOwned }
  }

  /// Has something run at the process's exit, after handlers that are registered later.
  package static func atExit(_ body: @escaping () -> Void) {
    let box = Unmanaged.passRetained(Box(body)).toOpaque()
    _ = hl_at_exit(
      { context in
        guard let context else { return }
        Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body()
      }, box)
  }

  private final class Box {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
  }
}

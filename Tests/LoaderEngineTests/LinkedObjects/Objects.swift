// Objects for the suites of this folder, made by real compilers.
import Dispatch
import Foundation
import LoaderEngine
import TestFixtures

typealias LongFunction = @convention(c) (Int, Int) -> Int

extension ObjectSource {
  static func made(
    _ source: String, _ compiler: Compiler = .gcc, flags: [String] = ["-O1", "-fPIC"],
    name: String = "unit.o"
  ) throws -> ObjectSource {
    try ObjectSource(Compiled.object(compiler, source, flags: flags), name: name)
  }
}

extension LinkContext {
  @discardableResult
  func link(_ source: String, _ compiler: Compiler = .gcc, name: String = "unit.o") throws
    -> LinkedObjects
  {
    try link([.made(source, compiler, name: name)])
  }

  func call(_ name: String, _ first: Int = 0, _ second: Int = 0) throws -> Int {
    let function: Symbol<LongFunction> = try function(named: name)
    return function.value(first, second)
  }
}

extension LinkedObjects {
  func call(_ name: String, _ first: Int = 0, _ second: Int = 0) throws -> Int {
    let function: Symbol<LongFunction> = try symbol(name)
    return function.value(first, second)
  }
}

/// A thread that runs something at once.
final class Started: Sendable {
  private let done = DispatchSemaphore(value: 0)

  init(_ body: @escaping @Sendable () -> Void) {
    let done = done
    Thread.detachNewThread {
      body()
      done.signal()
    }
  }

  func join() { done.wait() }
}

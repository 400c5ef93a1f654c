// `hotlink check LIB… --trace bindings`: loads shared objects without running any of their code, and prints what
// every symbol they refer to was bound to. ld.so's LD_DEBUG=bindings is the model.
import ArgumentParser
import HotLink
import LoaderEngine
import Synchronization
import SystemPackage

/// What `--trace` shows.
enum Trace: String, ExpressibleByArgument, CaseIterable {
  case bindings
}

/// Loads libraries and tells of their bindings.
struct BindingTrace {
  let json: Bool

  private final class Log: Sendable {
    let relocation = Mutex("")
    let count = Mutex(0)
  }

  /// - Throws: `ExitCode` when a library cannot be loaded.
  func run(_ files: [String]) throws {
    for file in files {
      do { try trace(file) } catch let error as LinkError {
        if json {
          Reporter(json: true).emit([
            ("library", .string(file)), ("ok", .bool(false)),
            ("reason", .string(Messages.line(Refusal(unit: file, reason: .link(error))))),
          ])
        } else {
          Reporter(json: false).failed(error)
        }
        throw ExitCode(RunnerExit.badInput)
      }
    }
  }

  private func trace(_ file: String) throws {
    let log = Log()
    var observer = LinkObserver()
    observer.willRelocate = { event in
      log.relocation.withLock { $0 = event.typeName }
      return .proceed
    }
    observer.binding = { event in
      log.count.withLock { $0 += 1 }
      tell(event, log.relocation.withLock { $0 })
      return nil
    }
    var options = LinkContext.Options()
    options.runsInitialisers = false
    options.image.observer = observer
    let context = LinkContext(options)
    let image = try context.load(ImageSource(opening: FilePath(file)))
    let bound = log.count.withLock { $0 }
    if json {
      Reporter(json: true).emit([
        ("library", .string(image.name)), ("ok", .bool(true)),
        ("relocations", .count(image.relocationCount)), ("bindings", .count(bound)),
        ("images", .strings(context.images.map(\.name))),
      ])
    } else {
      for other in context.images where other.name != image.name { print("with", other.name) }
      print("\(image.name): \(image.relocationCount) relocations, \(bound) bindings")
    }
  }

  private func tell(_ event: BindingEvent, _ relocation: String) {
    let symbol = event.version.isEmpty ? event.symbol : "\(event.symbol)@\(event.version)"
    if json {
      Reporter(json: true).emit([
        ("image", .string(event.image)), ("symbol", .string(event.symbol)),
        ("version", .string(event.version)), ("relocation", .string(relocation)),
        ("provider", event.provider.isEmpty ? .null : .string(event.provider)),
        ("address", .unsigned(event.address.value)),
      ])
      return
    }
    let provider =
      event.provider.isEmpty ? "nobody" : "\(event.provider) at \(event.address.description)"
    print("\(event.image): \(symbol) \(relocation) -> \(provider)")
  }
}

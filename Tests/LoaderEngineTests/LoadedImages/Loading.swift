// How the suites of loaded images load and call: from the file and from memory, with the process's own
// loader as the oracle. Functions of the fixtures take and return `long`.
import Foundation
import Glibc
import LoaderEngine
import SystemPackage
import TestFixtures
import Testing

/// Where an image comes from.
enum Origin: String, CaseIterable, Sendable, Codable {
  case file, memory
}

extension SharedObject {
  /// Loads it with what it needs.
  func load(
    _ origin: Origin = .file, in context: LinkContext = LinkContext(), options: ImageOptions? = nil
  ) throws -> Image {
    switch (origin, kind) {
    case (.file, .library): try context.loadLibrary(FilePath(path()), options: options)
    case (.memory, .library):
      try context.loadLibrary(source(), with: candidates(in: context), options: options)
    case (.file, .executable):
      try context.loadExecutable(ImageSource(opening: FilePath(path())), options: options)
    case (.memory, .executable): try context.loadExecutable(source(), options: options)
    }
  }

  func source() throws -> ImageSource {
    ImageSource(FileContents(try bytes()), name: fileName)
  }

  /// What the context does not have yet.
  private func candidates(in context: LinkContext) throws -> [ImageSource] {
    var seen = context.images.compactMap(\.soname)
    var found: [ImageSource] = []
    var queue = needs
    while let next = queue.popLast() {
      guard !seen.contains(next.fileName) else { continue }
      seen.append(next.fileName)
      found.append(try next.source())
      queue += next.needs
    }
    return found
  }
}

/// A library of the system, by its file's name.
func systemLibrary(_ name: String) throws -> String {
  for folder in ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64"]
  where access("\(folder)/\(name)", R_OK) == 0 {
    return "\(folder)/\(name)"
  }
  throw CommandFailure(description: "no \(name): scripts/setup.sh test")
}

extension LinkContext {
  /// One whose images are unmapped when they go: pages of the arena are recycled, so that who comes too
  /// late would not be noticed.
  static func unmapping() -> LinkContext { LinkContext(LinkContext.Options(mapper: FileMapper())) }
}

extension Image {
  typealias Function = @convention(c) (Int, Int) -> Int

  /// Calls a function of the image.
  @discardableResult
  func call(_ name: String, _ a: Int = 0, _ b: Int = 0) throws -> Int {
    let function: Symbol<Function> = try symbol(name)
    return withExtendedLifetime(self) { function.value(a, b) }
  }

  /// A pointer that a function returns, as text.
  func text(_ name: String) throws -> String {
    let address = try call(name)
    return withExtendedLifetime(self) {
      UnsafePointer<CChar>(bitPattern: address).map { String(cString: $0) } ?? ""
    }
  }

  /// A variable of the image.
  func word(_ name: String) throws -> Int {
    let variable: Symbol<UnsafePointer<Int>> = try symbol(name)
    return withExtendedLifetime(self) { variable.value.pointee }
  }

  /// What the kernel allows on the page of an address, as in /proc/self/maps.
  func permissions(at address: Address) -> String {
    withExtendedLifetime(self) { LoadedImages.permissions(at: address) }
  }
}

enum LoadedImages {
  static func permissions(at address: Address) -> String {
    // At once: a file of unknown size that changes meanwhile would be read with gaps.
    let descriptor = open("/proc/self/maps", O_RDONLY)
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = read(descriptor, &piece, piece.count), count > 0 {
      bytes += piece[..<count]
    }
    let text = String(decoding: bytes, as: UTF8.self)
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      let ends = words[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
      if ends.count == 2, ends[0] <= address.value, address.value < ends[1] {
        return String(words[1])
      }
    }
    return "unmapped"
  }

  /// The same call by way of the process's own loader.
  static func dlopened(_ object: SharedObject, _ name: String, _ a: Int = 0, _ b: Int = 0) throws
    -> Int
  {
    guard let handle = dlopen(try object.path(), RTLD_NOW | RTLD_LOCAL) else {
      throw CommandFailure(description: String(cString: dlerror()))
    }
    defer { dlclose(handle) }
    guard let function = dlsym(handle, name) else {
      throw CommandFailure(description: "no \(name)")
    }
    return unsafeBitCast(function, to: Image.Function.self)(a, b)
  }

  /// Why something was refused.
  static func refusal(_ body: () throws -> Void) -> LinkError.Reason? {
    do {
      try body()
      return nil
    } catch let error as LinkError {
      return error.reason
    } catch {
      Issue.record(error)
      return nil
    }
  }
}

/// A library that writes down what happens, and outlives those who tell it.
extension SharedObject {
  static let journal = SharedObject(
    "journal",
    """
    #include <string.h>
    static char text[1 << 16];
    void note(const char *what) { strcat(text, what); strcat(text, " "); }
    long clear(void) { text[0] = 0; return 0; }
    const char *journal(void) { return text; }
    """)
}

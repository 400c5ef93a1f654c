// Where a library that an image needs may lie: ld.so's order. The last places, ld.so.cache and the system
// directories, are left to the process's own loader. Linux: ld.so(8); gABI, “Shared Object Dependencies”.
internal import Glibc
internal import SystemPackage

/// The paths to try for a name, one after the other.
struct LibrarySearch {
  /// By the context's search path, whose bytes need not be text.
  private var named: [FilePath] = []
  /// By what images and the environment say.
  private var found: [String] = []
  private var position = 0
  /// As the process was started, which is what ld.so goes by.
  private static let isPrivileged = getuid() != geteuid() || getgid() != getegid()
  /// What was tried, for the error.
  private(set) var tried: [String] = []

  init(_ name: String, _ needer: SymbolProvider, _ options: LinkContext.Options) {
    if name.utf8.contains(UInt8(ascii: "/")) {
      named = [FilePath(LibrarySearch.expand(name, needer))]
      return
    }
    var directories: [String] = []
    // gABI: DT_RPATH counts where there is no DT_RUNPATH, also that of who loaded the needer, and so on up.
    if needer.runpath == nil {
      var provider: SymbolProvider? = needer
      while let current = provider {
        if current.runpath == nil { directories += LibrarySearch.list(current.rpath, current) }
        provider = current.loader
      }
    }
    if !LibrarySearch.isPrivileged, let environment = getenv("LD_LIBRARY_PATH") {
      directories += String(cString: environment).utf8.split(
        whereSeparator: { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ";") }
      ).map { String(Substring($0)) }
    }
    directories += LibrarySearch.list(needer.runpath, needer)
    named = options.searchPath.map { $0.appending(name) }
    for directory in directories where !directory.isEmpty {
      let path = LibrarySearch.join(directory, name)
      let isKnown = found.contains(path) || !named.isEmpty && named.contains(FilePath(path))
      if !isKnown { found.append(path) }
    }
  }

  /// The path of a file in a directory, without a separator too many.
  private static func join(_ directory: String, _ name: String) -> String {
    let slash = UInt8(ascii: "/")
    let isPlain = directory.utf8.withContiguousStorageIfAvailable { bytes in
      !bytes.indices.contains { index in
        bytes[index] == slash && (index + 1 == bytes.count || bytes[index + 1] == slash)
      }
    }
    let path = directory + "/" + name
    return isPlain == true ? path : FilePath(path).string
  }

  /// The next file to try, opened, or why it cannot be.
  mutating func next() -> Result<ImageSource, LinkError>? {
    guard position < named.count + found.count else { return nil }
    defer { position += 1 }
    do throws(LinkError) {
      if position < named.count {
        tried.append(named[position].string)
        return .success(try ImageSource(opening: named[position]))
      }
      let path = found[position - named.count]
      tried.append(path)
      return .success(try ImageSource(openingText: path))
    } catch {
      return .failure(error)
    }
  }

  mutating func note(_ message: String) { tried.append(message) }

  /// Where an image itself says that its libraries lie, in the order of search.
  static func directories(namedBy provider: SymbolProvider) -> [String] {
    provider.runpath == nil
      ? list(provider.rpath, provider) : list(provider.runpath, provider)
  }

  private static func list(_ paths: NameView?, _ provider: SymbolProvider) -> [String] {
    guard let paths else { return [] }
    return paths.string.utf8.split(separator: UInt8(ascii: ":"))
      .map { expand(String(Substring($0)), provider) }
  }

  /// $ORIGIN is the directory of the image; $LIB and $PLATFORM are this system's.
  private static func expand(_ path: String, _ provider: SymbolProvider) -> String {
    if path == "$ORIGIN" { return origin(of: provider) }
    guard let dollar = path.firstIndex(of: "$") else { return path }
    var rest = path[path.index(after: dollar)...]
    let isBraced = rest.first == "{"
    if isBraced { rest = rest.dropFirst() }
    let values: [(String, String)] = [
      ("ORIGIN", origin(of: provider)), ("LIB", "lib/x86_64-linux-gnu"), ("PLATFORM", "x86_64"),
    ]
    for (token, value) in values where rest.hasPrefix(token) {
      var tail = rest.dropFirst(token.count)
      if isBraced {
        guard tail.first == "}" else { return path }
        tail = tail.dropFirst()
      }
      return path[..<dollar] + value + expand(String(tail), provider)
    }
    return path
  }

  private static func origin(of provider: SymbolProvider) -> String {
    let name = provider.name.utf8
    // What all absolute paths but those with "//" come to.
    if name.first == UInt8(ascii: "/"), let end = name.lastIndex(of: UInt8(ascii: "/")),
      end != name.startIndex, name[name.index(before: end)] != UInt8(ascii: "/")
    {
      return String(provider.name[..<end])
    }
    let path = FilePath(provider.name)
    if path.isAbsolute { return path.removingLastComponent().string }
    guard let here = getcwd(nil, 0) else { return "." }
    defer { free(here) }
    return FilePath(String(cString: here)).pushing(path).removingLastComponent().string
  }
}

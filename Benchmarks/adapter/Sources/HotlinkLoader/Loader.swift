// The functions of hotlink_loader.h over LoaderEngine's public API. A handle is one reference to an `Image`.
public import CHotlinkLoader
internal import Glibc
internal import LoaderEngine
internal import SystemPackage

/// Everything is loaded here: an image is a new copy for each load.
private let context = LinkContext()
private let quietContext: LinkContext = {
  var options = LinkContext.Options()
  options.runsInitialisers = false
  return LinkContext(options)
}()

private func context(_ flags: Int32) -> LinkContext {
  flags & HOTLINK_NO_INITIALISERS != 0 ? quietContext : context
}

private func options(_ flags: Int32) -> ImageOptions {
  var options = ImageOptions()
  options.binding = flags & HOTLINK_LAZY != 0 ? .lazy : .now
  return options
}

/// A handle, or nil and the thread's error.
private func handle(_ load: () throws(LinkError) -> Image) -> OpaquePointer? {
  do {
    return OpaquePointer(Unmanaged.passRetained(try load()).toOpaque())
  } catch {
    fail(error)
    return nil
  }
}

private func fail(_ error: LinkError) { hotlink_set_error("\(error)") }

@c(hotlink_load_file)
public func loadFile(_ path: UnsafePointer<CChar>, _ flags: Int32) -> OpaquePointer? {
  handle { () throws(LinkError) in
    try context(flags).loadLibrary(FilePath(platformString: path), options: options(flags))
  }
}

@c(hotlink_load_memory)
public func loadMemory(
  _ files: UnsafePointer<hotlink_bytes>?, _ count: Int, _ flags: Int32
) -> OpaquePointer? {
  guard let files, count > 0 else {
    hotlink_set_error("no file")
    return nil
  }
  let sources = (0..<count).map { index in
    ImageSource(
      BorrowedBytes(files[index]), name: files[index].name.map { String(cString: $0) } ?? "")
  }
  return handle { () throws(LinkError) in
    try context(flags).loadLibrary(
      sources[0], with: Array(sources.dropFirst()), options: options(flags))
  }
}

@c(hotlink_load_alone)
public func loadAlone(_ path: UnsafePointer<CChar>, _ flags: Int32) -> OpaquePointer? {
  // A context of its own knows no other image; what is loaded beside the one is seen.
  var settings = LinkContext.Options()
  settings.runsInitialisers = false
  settings.opensSystemLibraries = false
  let trial = LinkContext(settings)
  do throws(LinkError) {
    let image = try trial.loadLibrary(FilePath(platformString: path), options: options(flags))
    let others = trial.images.filter { $0.range != image.range }
    guard others.isEmpty else {
      hotlink_set_error(
        "\(image.name) needs \(others.map(\.name).joined(separator: ", ")): not in the process")
      return nil
    }
    if flags & HOTLINK_NO_INITIALISERS != 0 {
      return OpaquePointer(Unmanaged.passRetained(image).toOpaque())
    }
  } catch {
    fail(error)
    return nil
  }
  settings.runsInitialisers = true
  let alone = LinkContext(settings)
  return handle { () throws(LinkError) in
    try alone.loadLibrary(FilePath(platformString: path), options: options(flags))
  }
}

@c(hotlink_name_of)
public func nameOf(_ text: UnsafePointer<CChar>) -> hotlink_name {
  let name = SymbolName(cString: text)
  return hotlink_name(text: text, size: name.count, hash: name.hash)
}

@c(hotlink_symbol)
public func symbol(_ image: OpaquePointer, _ name: UnsafePointer<CChar>) -> UnsafeMutableRawPointer?
{
  pointer(image) { $0.address(of: SymbolName(cString: name)) }
}

@c(hotlink_symbol_named)
public func symbolNamed(_ image: OpaquePointer, _ name: hotlink_name) -> UnsafeMutableRawPointer? {
  pointer(image) { image in
    name.text.flatMap {
      image.address(of: SymbolName(cString: $0, count: name.size, hash: name.hash))
    }
  }
}

@c(hotlink_versioned_symbol)
public func versionedSymbol(
  _ image: OpaquePointer, _ name: UnsafePointer<CChar>, _ version: UnsafePointer<CChar>
) -> UnsafeMutableRawPointer? {
  pointer(image) { $0.address(of: String(cString: name), version: String(cString: version)) }
}

/// Borrows the image of a handle: no reference is counted.
@inline(__always)
private func pointer(_ image: OpaquePointer, _ find: (Image) -> Address?)
  -> UnsafeMutableRawPointer?
{
  Unmanaged<Image>.fromOpaque(UnsafeRawPointer(image))._withUnsafeGuaranteedRef(find)
    .flatMap { UnsafeMutableRawPointer(bitPattern: UInt($0.value)) }
}

@c(hotlink_range)
public func range(
  _ image: OpaquePointer, _ start: UnsafeMutablePointer<UInt64>?,
  _ size: UnsafeMutablePointer<UInt64>?
) {
  let range = Unmanaged<Image>.fromOpaque(UnsafeRawPointer(image)).takeUnretainedValue().range
  start?.pointee = range.start.value
  size?.pointee = range.size
}

@c(hotlink_relocations)
public func relocations(_ image: OpaquePointer) -> Int {
  Unmanaged<Image>.fromOpaque(UnsafeRawPointer(image)).takeUnretainedValue().relocationCount
}

@c(hotlink_unload)
public func unload(_ image: OpaquePointer?) {
  if let image { Unmanaged<Image>.fromOpaque(UnsafeRawPointer(image)).release() }
}

/// A caller's bytes, for as long as it keeps them.
private final class BorrowedBytes: ImageReader, @unchecked Sendable {
  // Sound: the caller keeps the bytes until its load returns, and nothing reads them afterwards.
  private let base: UnsafeRawPointer?
  let size: UInt64

  init(_ file: hotlink_bytes) {
    base = file.bytes
    size = file.bytes == nil ? 0 : UInt64(file.size)
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = Int(min(UInt64(buffer.count), size - min(offset, size)))
    guard let from = borrow(at: offset, count: count), let to = buffer.baseAddress else { return 0 }
    memcpy(to, from, count)
    return count
  }

  func borrow(at offset: UInt64, count: Int) -> UnsafeRawPointer? {
    guard let base, count >= 0, offset <= size, UInt64(count) <= size - offset else { return nil }
    return base + Int(offset)
  }
}

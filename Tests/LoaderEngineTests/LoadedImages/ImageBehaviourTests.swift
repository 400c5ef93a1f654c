// Real libraries, loaded by us as copies of our own, do what they are for.
import Foundation
import Glibc
import LoaderEngine
import SystemPackage
import TestFixtures
import Testing

@Suite("Real libraries, loaded by us")
struct ImageBehaviourTests {
  /// A program in the form of a library, and the library of the system that it needs.
  struct Program: Sendable, CustomStringConvertible {
    var library: String
    var source: String
    /// Functions of the library whose addresses must lie in our copy.
    var witnesses: [String]
    var description: String { library }
  }

  static let programs = [
    Program(
      library: "libsqlite3.so.0",
      source: """
        #include <stdio.h>
        typedef struct sqlite3 sqlite3; typedef struct stmt stmt;
        int sqlite3_open(const char *, sqlite3 **); int sqlite3_close(sqlite3 *);
        int sqlite3_exec(sqlite3 *, const char *, void *, void *, char **);
        int sqlite3_prepare_v2(sqlite3 *, const char *, int, stmt **, const char **);
        int sqlite3_step(stmt *); int sqlite3_finalize(stmt *);
        long long sqlite3_column_int64(stmt *, int); double sqlite3_column_double(stmt *, int);
        const unsigned char *sqlite3_column_text(stmt *, int);
        static char text[100];
        const char *run(void) {
          sqlite3 *db; stmt *query;
          if (sqlite3_open(":memory:", &db)) return "open";
          if (sqlite3_exec(db, "create table t(a integer, b text, c real);"
              "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)"
              "insert into t select i, 'row ' || i, i / 4.0 from n; create index k on t(b);", 0, 0, 0))
            return "exec";
          if (sqlite3_prepare_v2(db, "select sum(a), max(b), avg(c) from t where b like 'row 9%'",
              -1, &query, 0)) return "prepare";
          if (sqlite3_step(query) != 100) return "step";
          snprintf(text, sizeof text, "%lld|%s|%.3f", sqlite3_column_int64(query, 0),
              sqlite3_column_text(query, 1), sqlite3_column_double(query, 2));
          sqlite3_finalize(query);
          return sqlite3_close(db) ? "close" : text;
        }
        const char *expected(void) { return "95904|row 999|216.000"; }
        """, witnesses: ["sqlite3_open", "sqlite3_step"]),
    Program(
      library: "libcrypto.so.3",
      source: """
        #include <stdio.h>
        #include <string.h>
        void *EVP_MD_CTX_new(void); void EVP_MD_CTX_free(void *); const void *EVP_sha3_256(void);
        int EVP_DigestInit_ex(void *, const void *, void *);
        int EVP_DigestUpdate(void *, const void *, unsigned long);
        int EVP_DigestFinal_ex(void *, unsigned char *, unsigned *);
        unsigned char *SHA256(const unsigned char *, unsigned long, unsigned char *);
        static char text[200];
        const char *run(void) {
          unsigned char one[32], other[64]; unsigned size = 0;
          SHA256((const unsigned char *)"abc", 3, one);
          void *context = EVP_MD_CTX_new();
          if (!EVP_DigestInit_ex(context, EVP_sha3_256(), 0)) return "init";
          EVP_DigestUpdate(context, "abc", 3);
          EVP_DigestFinal_ex(context, other, &size);
          EVP_MD_CTX_free(context);
          for (int i = 0; i < 8; i++) sprintf(text + 2 * i, "%02x", one[i]);
          strcat(text, "|");
          for (int i = 0; i < 8; i++) sprintf(text + 17 + 2 * i, "%02x", other[i]);
          return text;
        }
        const char *expected(void) { return "ba7816bf8f01cfea|3a985da74fe225b2"; }
        """, witnesses: ["SHA256", "EVP_DigestUpdate"]),
    Program(
      library: "libxml2.so.2",
      source: """
        #include <stdio.h>
        void *xmlReadMemory(const char *, int, const char *, const char *, int);
        void *xmlXPathNewContext(void *); void xmlFreeDoc(void *);
        struct object { int type; void *nodes; int boolean; double number; };
        struct object *xmlXPathEvalExpression(const unsigned char *, void *);
        static char text[100];
        const char *run(void) {
          static const char source[] =
            "<a><b n='1'>x</b><b n='20'>y</b><c><b n='300'>&#228;</b></c></a>";
          void *document = xmlReadMemory(source, sizeof source - 1, "n.xml", 0, 0);
          if (!document) return "parse";
          void *context = xmlXPathNewContext(document);
          struct object *sum = xmlXPathEvalExpression((const unsigned char *)"sum(//b/@n)", context);
          struct object *length =
            xmlXPathEvalExpression((const unsigned char *)"string-length(//c)", context);
          if (!sum || !length) return "xpath";
          snprintf(text, sizeof text, "%g|%g", sum->number, length->number);
          xmlFreeDoc(document);
          return text;
        }
        const char *expected(void) { return "321|1"; }
        """, witnesses: ["xmlReadMemory", "xmlXPathNewContext"]),
    Program(
      library: "libz.so.1",
      source: """
        #include <stdio.h>
        #include <string.h>
        int compress2(unsigned char *, unsigned long *, const unsigned char *, unsigned long, int);
        int uncompress(unsigned char *, unsigned long *, const unsigned char *, unsigned long);
        unsigned long crc32(unsigned long, const unsigned char *, unsigned);
        static unsigned char plain[100000], packed[110000], again[100000];
        static char text[100];
        const char *run(void) {
          for (unsigned i = 0; i < sizeof plain; i++) plain[i] = (i * i) >> 7;
          unsigned long size = sizeof packed, back = sizeof again;
          if (compress2(packed, &size, plain, sizeof plain, 9)) return "compress";
          if (size >= sizeof plain) return "size";
          if (uncompress(again, &back, packed, size)) return "uncompress";
          if (back != sizeof plain || memcmp(plain, again, back)) return "bytes";
          snprintf(text, sizeof text, "%lx", crc32(0, (const unsigned char *)"123456789", 9));
          return text;
        }
        const char *expected(void) { return "cbf43926"; }
        """, witnesses: ["compress2", "crc32"]),
    Program(
      library: "libpng16.so.16",
      source: """
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        // png_image of the simplified API, version 1.
        struct image { void *opaque; unsigned version, width, height, format, flags, entries, code;
          char message[64]; };
        int png_image_begin_read_from_memory(struct image *, const void *, unsigned long);
        int png_image_finish_read(struct image *, const void *, void *, int, void *);
        static const unsigned char file[] = {137,80,78,71,13,10,26,10,0,0,0,13,73,72,68,82,0,0,0,5,0,0,
          0,4,8,2,0,0,0,201,81,98,23,0,0,0,68,73,68,65,84,120,218,13,199,33,17,0,49,12,69,193,199,202,
          202,202,170,160,48,232,64,102,206,68,37,68,196,87,18,37,17,17,89,119,203,22,192,32,32,161,
          255,224,152,143,240,153,190,218,55,8,211,12,237,212,105,61,80,88,173,168,147,245,118,221,15,
          133,255,16,125,144,69,249,46,0,0,0,0,73,69,78,68,174,66,96,130};
        static char text[200];
        const char *run(void) {
          struct image image = {.version = 1};
          unsigned char pixels[5 * 4 * 3];
          if (!png_image_begin_read_from_memory(&image, file, sizeof file))
            return strcpy(text, image.message);
          if (image.width != 5 || image.height != 4) return "size";
          image.format = 2;  // RGB
          if (!png_image_finish_read(&image, 0, pixels, 0, 0)) return strcpy(text, image.message);
          for (int y = 0; y < 4; y++)
            for (int x = 0; x < 5; x++) {
              unsigned char *pixel = pixels + (y * 5 + x) * 3;
              if (pixel[0] != x * 50 || pixel[1] != y * 60 || pixel[2] != x * y * 7) return "pixel";
            }
          return "picture";
        }
        const char *expected(void) { return "picture"; }
        """, witnesses: ["png_image_finish_read"]),
    Program(
      library: "libm.so.6",
      source: """
        #include <stdio.h>
        // All of them IFUNCs of glibc 2.36 on x86-64.
        double sin(double), cos(double), tan(double), exp(double), log(double), pow(double, double);
        double atan2(double, double), floor(double), ceil(double), fma(double, double, double);
        float sinf(float), expf(float), powf(float, float);
        static char text[300];
        const char *run(void) {
          volatile double x = 0.5, y = 3.25;
          snprintf(text, sizeof text, "%.6f %.6f %.6f %.6f %.6f %.6f %.6f %g %g %g %.4f %.4f %.4f",
            sin(x), cos(x), tan(x), exp(x), log(x), pow(x, y), atan2(x, y), floor(y), ceil(y),
            fma(x, y, y), sinf(x), expf(x), powf(x, y));
          return text;
        }
        const char *expected(void) {
          return "0.479426 0.877583 0.546302 1.648721 -0.693147 0.105112 0.152649 3 4 4.875 "
            "0.4794 1.6487 0.1051";
        }
        """, witnesses: ["sin", "pow", "fma"]),
  ]

  /// The same, where the process has the library already, for all to see.
  static let resident = ["libcrypto.so.3", "libsqlite3.so.0", "libz.so.1"]

  @Test(
    "A copy of our own works", arguments: programs, Origin.allCases)
  func works(program: Program, origin: Origin) throws {
    let image = try Self.load(program, origin)
    #expect(try image.text("run") == image.text("expected"))
    // Ours, not the process's: every witness lies in an image that we mapped.
    let copy = try #require(image.members.first { $0.name.hasSuffix(program.library) })
    for name in program.witnesses {
      let handle = Image(copy, of: try #require(image.group))
      let found = try #require(handle.exports.first { $0.name == name && $0.isDefaultVersion })
      #expect(copy.mapping.range.contains(found.address), "\(name)")
    }
  }

  @Test("… also where the process has one already", arguments: programs, [Origin.memory])
  func secondCopy(program: Program, origin: Origin) async throws {
    guard Self.resident.contains(program.library) else { return }
    await #expect(processExitsWith: .success) {
      [library = program.library as String, origin = origin as Origin] in
      guard dlopen(library, RTLD_NOW | RTLD_GLOBAL) != nil,
        let program = ImageBehaviourTests.programs.first(where: { $0.library == library })
      else { exit(2) }
      let image = try ImageBehaviourTests.load(program, origin)
      #expect(try image.text("run") == image.text("expected"))
      #expect(image.members.contains { $0.name.hasSuffix(library) })
    }
  }

  static func load(_ program: Program, _ origin: Origin) throws -> Image {
    let path = FilePath(try systemLibrary(program.library))
    let user = SharedObject(
      "uses-\(program.library.prefix { $0 != "." })", libraries: [path.string], program.source)
    var candidates = [try ImageSource(opening: path)]
    if origin == .memory {
      let bytes = [UInt8](try Data(contentsOf: URL(filePath: path.string)))
      candidates = [ImageSource(FileContents(bytes), name: program.library)]
    }
    let source =
      origin == .memory ? try user.source() : try ImageSource(opening: FilePath(user.path()))
    return try LinkContext().loadLibrary(source, with: candidates)
  }

  @Test("libssl finds our libcrypto, not another", arguments: Origin.allCases)
  func twoLibraries(origin: Origin) throws {
    let sources = try ["libssl.so.3", "libcrypto.so.3"].map { name -> ImageSource in
      let path = try systemLibrary(name)
      guard origin == .memory else { return try ImageSource(opening: FilePath(path)) }
      return ImageSource(
        FileContents([UInt8](try Data(contentsOf: URL(filePath: path)))), name: name)
    }
    let image = try LinkContext().loadLibrary(sources[0], with: [sources[1]])
    #expect(image.members.count == 2)
    let method: Symbol<@convention(c) () -> UnsafeRawPointer?> = try image.symbol("TLS_method")
    let make: Symbol<@convention(c) (UnsafeRawPointer?) -> UnsafeMutableRawPointer?> =
      try image.symbol("SSL_CTX_new")
    let free: Symbol<@convention(c) (UnsafeMutableRawPointer?) -> Void> =
      try image.symbol("SSL_CTX_free")
    let context = make.value(method.value())
    #expect(context != nil)
    free.value(context)
  }

  @Test("Libraries of the system come from the process's loader, never as a second copy")
  func systemLibraries() throws {
    let path = try systemLibrary("libpng16.so.16")
    let user = SharedObject(
      "needspng", libraries: [path],
      "unsigned png_access_version_number(void); long run(void) { return png_access_version_number(); }"
    )
    // Not opened where the caller does not want that.
    var options = LinkContext.Options()
    options.opensSystemLibraries = false
    let reason = LoadedImages.refusal { _ = try user.load(.memory, in: LinkContext(options)) }
    guard case .missingLibrary(let name, _) = reason else {
      Issue.record("\(String(describing: reason))")
      return
    }
    #expect(name == "libpng16.so.16")
    let image = try user.load(.memory)
    #expect(image.members.count == 1)
    #expect(try image.call("run") / 100 == 106)
    let handle = try #require(dlopen("libpng16.so.16", RTLD_LAZY | RTLD_NOLOAD))
    defer { dlclose(handle) }
    let symbol = try #require(dlsym(handle, "png_access_version_number"))
    #expect(
      image.address(of: "png_access_version_number") == Address(UInt64(UInt(bitPattern: symbol))))
  }

  // MARK: exceptions

  static let thrower = SharedObject(
    "thrower", .gxx,
    """
    #include <stdexcept>
    #include <string>
    struct Odd : std::runtime_error { long n; Odd(long n) : runtime_error("odd"), n(n) {} };
    void deepest(long n) { if (n % 2) throw Odd(n); throw std::string("even"); }
    """)
  static let middle = SharedObject(
    "middle", .gxx, needs: [thrower],
    """
    void deepest(long n);
    long destroyed;
    struct Guard { long n; ~Guard() { destroyed += n; } };
    void between(long n) { Guard guard{n}; deepest(n); }
    """)
  static let catcher = SharedObject(
    "catcher", .gxx, needs: [middle],
    """
    #include <stdexcept>
    #include <string>
    void between(long n);
    extern long destroyed;
    extern "C" long run(long n, long) {
      try { between(n); } catch (const std::runtime_error &error) {
        return std::string(error.what()) == "odd" ? 100 + destroyed : -1;
      } catch (const std::string &text) { return text == "even" ? 200 + destroyed : -2; }
      return -3;
    }
    """)

  @Test("Users of libstdc++ throw across three libraries", arguments: Origin.allCases)
  func throwing(origin: Origin) throws {
    let image = try Self.catcher.load(origin)
    #expect(image.members.count == 3, "libstdc++ and libc are the process's")
    #expect(try image.call("run", 1) == 101)
    #expect(try image.call("run", 4) == 205)
  }

  @Test("An exception passes out of our frames into who called them, and backtraces see them")
  func frames() throws {
    let image = try SharedObject(
      "frames", .gxx,
      """
      #include <execinfo.h>
      typedef void (*Callback)();
      static long depth;
      extern "C" __attribute__((noinline)) long recurse(long n, long) {
        if (n > 0) return recurse(n - 1, 0) + 1;
        void *frames[64];
        depth = backtrace(frames, 64);
        return 0;
      }
      extern "C" long measured(long n, long) { recurse(n, 0); return depth; }
      """
    ).load(.memory)
    let shallow = try image.call("measured", 1)
    #expect(try image.call("measured", 11) == shallow + 10)
  }

  // MARK: errno

  static let failing = SharedObject(
    "failing",
    """
    #include <errno.h>
    #include <fcntl.h>
    extern __thread int direct __asm__("errno") __attribute__((tls_model("initial-exec")));
    long by_function(long code) { errno = code; return 0; }
    long by_variable(long code) { direct = code; return &direct == &errno; }
    long by_call(void) { return open("/no/such/file", O_RDONLY); }
    long read_back(void) { return errno; }
    """)

  @Test("errno set inside is read outside, and the other way round", arguments: Origin.allCases)
  func errnoIsOne(origin: Origin) throws {
    let image = try Self.failing.load(origin)
    let functions = try ["by_function", "by_variable", "by_call", "read_back"].map {
      try image.symbol($0, as: Image.Function.self).value
    }
    withExtendedLifetime(image) {
      _ = functions[0](77, 0)
      var seen = errno
      #expect(seen == 77)
      #expect(functions[1](78, 0) == 1)
      seen = errno
      #expect(seen == 78)
      _ = functions[2](0, 0)
      seen = errno
      #expect(seen == ENOENT)
      errno = 79
      #expect(functions[3](0, 0) == 79)
    }
  }
}

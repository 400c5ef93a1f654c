// Real archives, and what is asked of them when all their members are linked: a unit that makes the library work and
// returns a number which only working code gives.
internal import Glibc

struct ArchiveQuestion {
  /// Counterpart: FEATURES section J4.
  var name: String
  /// Debian's name of what has it.
  var package: String
  /// Where it may be.
  var paths: [String]
  /// What the archive expects of the process.
  var libraries: [String] = []
  var isCxx = false
  var source: String
  var answer: Int32

  static let function = "bench_ask"

  /// The archive, where it is installed.
  var path: String? { paths.first { access($0, R_OK) == 0 } }

  private static let folder = "/usr/lib/x86_64-linux-gnu/"

  static let all = [
    ArchiveQuestion(
      name: "sqlite", package: "libsqlite3-dev", paths: [folder + "libsqlite3.a"],
      libraries: ["libm.so.6"],
      source: """
        typedef struct sqlite3 sqlite3;
        int sqlite3_open(const char *, sqlite3 **), sqlite3_close(sqlite3 *);
        int sqlite3_exec(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
        int atoi(const char *);
        static int row(void *result, int count, char **values, char **names) {
          *(int *)result = atoi(values[0]);
          return 0;
        }
        int bench_ask(void) {
          sqlite3 *base = 0;
          int result = 0;
          if (sqlite3_open(":memory:", &base)) return -1;
          sqlite3_exec(base, "create table t(x); insert into t values(6),(7);"
            "select sum(a.x * b.x) from t a, t b where a.x < b.x", row, &result, 0);
          sqlite3_close(base);
          return result;
        }

        """, answer: 42),
    ArchiveQuestion(
      name: "lua", package: "liblua5.4-dev", paths: [folder + "liblua5.4.a"],
      libraries: ["libm.so.6"],
      source: """
        typedef struct lua_State lua_State;
        lua_State *luaL_newstate(void);
        void luaL_openlibs(lua_State *), lua_close(lua_State *);
        int luaL_loadstring(lua_State *, const char *);
        int lua_pcallk(lua_State *, int, int, int, long, void *);
        long long lua_tointegerx(lua_State *, int, int *);
        int bench_ask(void) {
          lua_State *state = luaL_newstate();
          luaL_openlibs(state);
          luaL_loadstring(state, "local n = 0; for c in ('x'):rep(6):gmatch('.') do n = n + 7 end; return n");
          int result = lua_pcallk(state, 0, 1, 0, 0, 0) ? -1 : (int)lua_tointegerx(state, -1, 0);
          lua_close(state);
          return result;
        }

        """, answer: 42),
    ArchiveQuestion(
      name: "crypto", package: "libssl-dev", paths: [folder + "libcrypto.a"],
      source: """
        typedef struct evp_md_st EVP_MD;
        const EVP_MD *EVP_sha256(void);
        int EVP_Digest(const void *, unsigned long, unsigned char *, unsigned *, const EVP_MD *, void *);
        int bench_ask(void) {
          unsigned char digest[64];
          unsigned size = 0;
          if (!EVP_Digest("abc", 3, digest, &size, EVP_sha256(), 0) || size != 32) return -1;
          return digest[0];
        }

        """, answer: 0xba),
    ArchiveQuestion(
      name: "stdcxx", package: "libstdc++-12-dev",
      paths: (10...16).reversed().map { "/usr/lib/gcc/x86_64-linux-gnu/\($0)/libstdc++.a" },
      isCxx: true,
      source: """
        #include <map>
        #include <sstream>
        #include <string>
        extern "C" int bench_ask(void) {
          std::map<std::string, int> numbers{{"six", 6}, {"seven", 7}};
          std::ostringstream text;
          for (auto &number : numbers) text << number.second << ' ';
          std::istringstream back(text.str());
          int a = 0, b = 0;
          back >> a >> b;
          return a * b;
        }

        """, answer: 42),
  ]
}

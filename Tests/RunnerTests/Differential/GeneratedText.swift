// The C or C++ text of a generated program. `io` tells a value, or sets it: the same text runs under the
// reload runtime, which only tells, and in the fresh program, which is first given the state to go on from.

extension GeneratedProgram {
  /// All files: units, the header they share, and the frame loop, which is never edited.
  var files: [String: String] {
    var files = ["main.c": frame]
    if isCxx { files["shared.hpp"] = header }
    for index in units.indices { files[source(index)] = text(of: index) }
    return files
  }

  func source(_ unit: Int) -> String { units[unit].name + (isCxx ? ".cpp" : ".c") }

  private var frame: String {
    let names = units.map(\.name)
    return """
      #include <stdio.h>
      #include <unistd.h>
      typedef unsigned long word;
      word (*io_load)(const char *, word);
      int probing;
      static char line[1 << 16];
      static word used;
      static word frame;
      void io(const char *name, word *value) {
        if (io_load) { *value = io_load(name, *value); return; }
        used += snprintf(line + used, sizeof line - used, " %s=%lu", name, *value);
      }
      \(names.map { "void \($0)_state(void); word \($0)_top(word);" }.joined(separator: "\n"))
      void all_state(void) {
        used = 0; line[0] = 0;
        io("frame", &frame);
        \(names.map { "\($0)_state();" }.joined(separator: " "))
      }
      void tick(void *ignored) {
        (void)ignored;
        word x = frame * 2654435761u % 1000003;
        \(names.map { "x ^= \($0)_top(x);" }.joined(separator: " "))
        frame++;
        all_state();
        dprintf(1, "at=%lu x=%lu%s\\n", frame, x, line);
      }
      """
  }

  /// The main program of the oracle: reads names and values, goes on from there for some frames.
  static let oracle = """
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    typedef unsigned long word;
    extern word (*io_load)(const char *, word);
    void all_state(void);
    void tick(void *);
    static struct { char name[64]; word value; } known[4096];
    static int count;
    static word load(const char *name, word value) {
      for (int i = 0; i < count; i++) if (!strcmp(known[i].name, name)) return known[i].value;
      return value;
    }
    int main(int argc, char **argv) {
      while (count < 4096 && scanf("%63s %lu", known[count].name, &known[count].value) == 2) count++;
      io_load = load;
      all_state();
      io_load = 0;
      for (int i = 0, frames = atoi(argv[1]); i < frames; i++) tick(0);
      return 0;
    }
    """

  private var header: String {
    """
    typedef unsigned long word;
    extern "C" { void io(const char *name, word *value); extern int probing; }
    inline word shared_total = 7;
    template <class T> struct Keep { static T value; };
    template <class T> T Keep<T>::value = 9;
    inline word shared_step(word x) {
      static word steps = 3;
      if (probing) { io("h.steps", &steps); return 0; }
      steps += x & \(shared[0]);
      shared_total += steps ^ \(shared[1]);
      Keep<word>::value = Keep<word>::value * \(shared[2]) + 1;
      return x ^ steps * \(shared[3]);
    }
    struct Shape { word width = 3; virtual ~Shape() {} virtual word area(word x) { return x + width; } };
    struct Round : Shape { word area(word x) override { return Shape::area(x) * \(shared[1]) + \(shared[2]); } };
    """
  }

  // MARK: a unit

  func text(of index: Int) -> String {
    let unit = units[index]
    let state = "void \(unit.name)_state(void)"
    let top = "word \(unit.name)_top(word x)"
    let linkage = isCxx ? "extern \"C\" " : ""
    let lines =
      [
        isCxx
          ? "#include \"shared.hpp\""
          : "typedef unsigned long word;\nvoid io(const char *name, word *value);\nextern int probing;"
      ]
      + unit.functions.map { "\($0.isHidden ? "static " : "")word \($0.name)(word x);" }
      + foreign(index).map { "word \($0)(word x);" }
      + ["static word \(unit.name)_target0 = 5;", "word \(unit.name)_target1 = 6;"]
      + unit.variables.compactMap { variable in
        if case .inside = variable.home { return nil }
        return definition(variable, unit)
      }
      + (isCxx ? ["static Round \(unit.name)_round;"] : [])
      + unit.functions.map { function($0, unit) }
      + ["\(linkage)\(top) {"]
      + unit.functions.filter { $0.rank > 0 }.map { "  x = x * 31 + \($0.name)(x & 0xFFFF);" }
      + (isCxx
        ? ["  Shape *shape = &\(unit.name)_round;", "  x = shared_step(x) + shape->area(x);"] : [])
      + ["  return x;", "}", "\(linkage)\(state) {", "  word v;"]
      + ["target0", "target1"].map { "  io(\"\(unit.name).\($0)\", &\(unit.name)_\($0));" }
      + unit.variables.filter(\.isState).flatMap { telling($0, unit) }
      + probes(unit)
      + (isCxx && index == 0
        ? [
          "  io(\"h.total\", &shared_total); io(\"h.keep\", &Keep<word>::value);",
          "  probing = 1; shared_step(0); probing = 0;",
        ] : [])
      + ["}"]
    return lines.joined(separator: "\n") + "\n"
  }

  private func foreign(_ index: Int) -> [String] {
    let own = Set(units[index].functions.map(\.name))
    let called = units[index].functions.flatMap(\.statements).filter { $0.kind == .call }.map(
      \.name)
    return Set(called).subtracting(own).sorted()
  }

  private func definition(_ variable: GeneratedVariable, _ unit: GeneratedUnit) -> String {
    let hidden = variable.home == .global ? "" : "static "
    let values = variable.values.map(String.init).joined(separator: ", ")
    let text = String(
      decoding: variable.values.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self)
    let leaves = unit.leaves.map(\.name)
    let functions = variable.values.map { leaves[Int($0) % leaves.count] }.joined(separator: ", ")
    let count = variable.values.count
    let (name, first) = (variable.written, variable.values.first ?? 0)
    // C++: constants have internal linkage unless declared otherwise.
    let shown = isCxx && hidden.isEmpty ? "extern " : hidden
    switch variable.kind {
    case .scalar(let type):
      let isLocal = variable.home == .threadLocal
      let thread = isLocal ? (isCxx ? "thread_local " : "_Thread_local ") : ""
      return "\(hidden)\(thread)\(type) \(name)\(first == 0 ? "" : " = \(first)");"
    case .array(let type):
      let isZero = variable.values.allSatisfy { $0 == 0 }
      return "\(hidden)\(type) \(name)[\(count)]\(isZero ? "" : " = { \(values) }");"
    case .real: return "\(hidden)double \(name)\(first == 0 ? "" : " = \(first).0");"
    case .functions: return "\(hidden)word (*\(name)[\(count)])(word) = { \(functions) };"
    case .pointer: return "\(hidden)word *\(name) = &\(unit.name)_target\(first);"
    case .constants: return "\(shown)const word \(name)[\(count)] = { \(values) };"
    case .constantFunctions:
      return "\(shown)word (*const \(name)[\(count)])(word) = { \(functions) };"
    case .text: return "\(shown)const char \(name)[] = \"\(text)\";"
    case .literal: return "\(hidden)const char *\(name) = \"\(text)\";"
    }
  }

  private func function(_ function: GeneratedFunction, _ unit: GeneratedUnit) -> String {
    let inside = unit.variables.filter { $0.home == .inside(function.name) }
    var lines = ["\(function.isHidden ? "static " : "")word \(function.name)(word x) {"]
    for variable in inside { lines.append("  " + definition(variable, unit)) }
    if !inside.isEmpty {
      lines.append("  if (probing) {")
      lines.append("    word v;")
      for variable in inside { lines += telling(variable, unit, isInside: true) }
      lines.append("    return 0;")
      lines.append("  }")
    }
    lines += function.statements.map { "  " + text(of: $0, unit) }
    return (lines + ["  return x;", "}"]).joined(separator: "\n")
  }

  private func probes(_ unit: GeneratedUnit) -> [String] {
    let homes = unit.variables.compactMap { variable -> String? in
      guard case .inside(let function) = variable.home else { return nil }
      return function
    }
    return homes.isEmpty
      ? []
      : ["  probing = 1;"] + Set(homes).sorted().map { "  \($0)(0);" } + ["  probing = 0;"]
  }

  /// Lines that tell or set a variable.
  private func telling(
    _ variable: GeneratedVariable, _ unit: GeneratedUnit, isInside: Bool = false
  ) -> [String] {
    if !isInside, case .inside = variable.home { return [] }
    let name = variable.written
    let key = "\(unit.name).\(variable.name)"
    let leaves = unit.leaves.map(\.name)
    let targets = [0, 1].map { "\(unit.name)_target\($0)" }
    func told(_ place: String, _ key: String, _ candidates: [String]) -> String {
      let index = candidates.enumerated().reversed().reduce("99") { text, candidate in
        "\(place) == \(candidate.element) ? \(candidate.offset) : \(text)"
      }
      let set = candidates.enumerated().map { "v == \($0.offset) ? \($0.element) : " }.joined()
      return "  v = \(index); io(\"\(key)\", &v); \(place) = \(set)\(candidates[0]);"
    }
    switch variable.kind {
    case .scalar:
      return ["  v = \(name); io(\"\(key).0\", &v); \(name) = v;"]
    case .array:
      return variable.values.indices.map {
        "  v = \(name)[\($0)]; io(\"\(key).\($0)\", &v); \(name)[\($0)] = v;"
      }
    case .real:
      return [
        "  __builtin_memcpy(&v, &\(name), 8); io(\"\(key).0\", &v); __builtin_memcpy(&\(name), &v, 8);"
      ]
    case .functions:
      return variable.values.indices.map { told("\(name)[\($0)]", "\(key).\($0)", leaves) }
    case .pointer: return [told(name, "\(key).0", targets.map { "&" + $0 })]
    case .constants, .constantFunctions, .text, .literal: return []
    }
  }

  private func text(of statement: GeneratedStatement, _ unit: GeneratedUnit) -> String {
    let (a, b, c) = (statement.numbers[0], statement.numbers[1], statement.numbers[2])
    let variable = unit.variable(statement.name)
    let name = variable?.written ?? statement.name
    let count = max(variable?.values.count ?? 1, 1)
    switch statement.kind {
    case .mix: return "x = (x * \(a) ^ x >> \(b % 13 + 1)) + \(c);"
    case .call: return "x += \(name)(x ^ \(a));"
    case .branch: return "if (x & \(a % 8 + 1)) \(name)++; else x += \(name) * \(b);"
    case .choose:
      return
        "switch (x % 7) { case 0: x += \(a); break; case 1: x ^= \(b); break; case 2: x *= \(c); "
        + "break; case 3: x -= \(a); break; case 4: x |= \(b); break; case 5: x >>= 1; break; default: x++; }"
    case .loop: return "for (word i = 0; i < \(a % 5 + 1); i++) x = x * \(b) + i;"
    case .throwing:
      return "try { if (x % 3 == \(a % 3)) throw (int)\(b); x ^= \(c); } catch (int e) { x += e; }"
    case .indirect: return "x += \(name)[x % \(count)](x + \(a));"
    case .throughPointer: return "*\(name) += x % \(a); x ^= *\(name);"
    case .read:
      switch variable?.kind {
      case .array, .constants: return "x += \(name)[(x ^ \(a)) % \(count)] * \(b);"
      case .text, .literal: return "x += (word)\(name)[x % \(count)] * \(b);"
      case .real: return "x += (word)\(name);"
      default: return "x += \(name) ^ \(a);"
      }
    case .write:
      switch variable?.kind {
      case .array: return "\(name)[x % \(count)] += x % \(a) + \(b % 7);"
      case .real: return "\(name) = \(name) * 0.5 + (double)(x & \(a));"
      case .functions:
        return "{ word (*f)(word) = \(name)[0]; \(name)[0] = \(name)[\(count - 1)]; "
          + "\(name)[\(count - 1)] = f; }"
      case .pointer:
        return "\(name) = x & 1 ? &\(unit.name)_target0 : &\(unit.name)_target1;"
      default: return "\(name) = \(name) * \(a % 9 + 1) + x % \(b);"
      }
    }
  }
}

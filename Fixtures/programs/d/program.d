// D: classes, templates, ranges, exceptions, scope guards, associative arrays, module constructors, threads, the GC.
// run: 4
// run: throw
// run: assert
// run: range
// input: 5 words here\n
import core.memory : GC;
import core.thread;
import std.algorithm;
import std.array;
import std.conv;
import std.exception;
import std.range;
import std.stdio;
import std.string;

shared int total;
int perThread = 3;
__gshared string[] log;

shared static this() { log ~= "module begins"; }
static this() { perThread = 10; }
static ~this() { synchronized writeln("thread ends ", perThread > 10); }
shared static ~this() { writeln("module ends ", log.length); }

interface Shape { double area() const; string name() const; }
abstract class Named : Shape { string label; this(string l) { label = l; } override string name() const { return label; } }
final class Circle : Named {
    double radius;
    this(double r) { super("circle"); radius = r; }
    override double area() const { return radius * radius * 3; }
}
class Square : Named { double side; this(double s) { super("square"); side = s; } override double area() const { return side * side; } }
struct Guard { string name; ~this() { if (name.length) writeln("~", name); } @disable this(this); }
class Failure : Exception { int code; this(string m, int c) { super(m); code = c; } }
mixin template Counting() { static int made; this(int) { made++; } }
struct Counted { mixin Counting; }
T twice(T)(T value) if (is(typeof(value + value))) { return value + value; }
int fail(int kind) {
    auto guard = Guard("guard " ~ kind.to!string);
    scope (exit) writeln("exit");
    scope (failure) writeln("failure");
    scope (success) writeln("success");
    if (kind == 1) throw new Failure("by hand", 7);
    if (kind == 2) return "12x".to!int;
    if (kind == 3) enforce(false, "enforced");
    return kind;
}
unittest { assert(twice(2) == 4); }

int main(string[] arguments) {
    auto mode = arguments.length > 1 ? arguments[1] : "";
    if (mode == "throw") throw new Failure("nobody catches this", 1);
    if (mode == "assert") assert(arguments.length == 100, "asserted");
    if (mode == "range") { auto list = [1, 2, 3]; return list[arguments.length + 5]; }
    writeln(readln().strip.split.map!(w => w.length).array, " ", log);
    foreach (kind; 0 .. 4) {
        try writeln(fail(kind));
        catch (Failure f) writeln(f.msg, " ", f.code);
        catch (ConvException e) writeln("conversion: ", e.msg);
        catch (Exception e) writeln(typeid(e).name, ": ", e.msg);
    }
    Shape[] shapes = [new Circle(2), new Square(3)];
    foreach (s; shapes) writefln("%s %.2f %s %s", s.name, s.area, cast(Circle) s !is null, (cast(Object) s).classinfo.name);
    int[string] counts;
    foreach (word; "the quick the lazy the end".split) counts[word]++;
    foreach (word; counts.keys.sort) write(word, "=", counts[word], " ");
    writeln();
    writeln(iota(1, 50).filter!(x => x % 7 == 0).map!(x => x * x).fold!((a, b) => a + b));
    writeln(recurrence!("a[n-1] + a[n-2]")(1, 1).take(10).array.retro, " ", twice(21), " ", twice("ab".length));
    auto made = Counted(1);
    auto next = Counted(2);
    writeln(Counted.made, " ", format("%08.3f|%-6s|%x", 3.14159, "ab", 255));
    auto threads = iota(4).map!(i => new Thread({
        foreach (n; 0 .. 100) { perThread++; auto garbage = new ubyte[4096]; garbage[n] = 1; }
        import core.atomic;
        atomicOp!"+="(total, perThread);
    })).array;
    foreach (t; threads) t.start();
    foreach (t; threads) t.join();
    GC.collect();
    writeln(total, " ", perThread);
    int delegate(int)[] adders;
    foreach (i; 0 .. 3) adders ~= ((int by) => (int x) => x + by)(i);
    writeln(adders.map!(f => f(10)).array);
    stderr.writeln("on the error stream");
    return mode.length ? mode.to!int : 0;
}

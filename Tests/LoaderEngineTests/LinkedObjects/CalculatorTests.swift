// The example that compiles: Examples/jit-compiler.
import Calculator
import Testing

@Suite("The calculator that compiles")
struct CalculatorTests {
  @Test("Definitions may come later and come again", arguments: ["gcc", "clang"])
  func session(_ compiler: String) throws {
    let calculator = try Calculator(compiler: compiler)
    #expect(try calculator.evaluate("1 + 2 * 3") == 7)
    #expect(try calculator.evaluate("hyp(a, b) = sqrt(sq(a) + sq(b))") == nil)
    #expect(try calculator.evaluate("hyp(3, 4)")?.isNaN == true, "sq is not there yet")
    #expect(try calculator.evaluate("sq(x) = x * x") == nil)
    #expect(try calculator.evaluate("hyp(3, 4)") == 5)
    #expect(try calculator.evaluate("fib(n) = n < 2 ? n : fib(n - 1) + fib(n - 2)") == nil)
    #expect(try calculator.evaluate("fib(20)") == 6765)
    #expect(try calculator.evaluate("sq(x) = 1") == nil)
    #expect(try calculator.evaluate("hyp(3, 4) == sqrt(2)") == 1)
    #expect(throws: CalculatorError.self) { try calculator.evaluate("1 +") }
    #expect(throws: CalculatorError.self) { try calculator.evaluate("sq(x, y) = x") }
    #expect(try calculator.evaluate("hyp(0, 0) + fib(10)") == 55 + 2.0.squareRoot())
  }
}

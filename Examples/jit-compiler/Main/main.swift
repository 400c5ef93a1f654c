// Reads lines, prints values.
import Calculator

let calculator = try Calculator()
while let line = readLine() {
  if line.allSatisfy(\.isWhitespace) { continue }
  do {
    if let value = try calculator.evaluate(line) { print(value) }
  } catch {
    print("error: \(error)")
  }
}

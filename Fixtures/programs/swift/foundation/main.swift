// Foundation: Codable over JSON and property lists, dates, data, regular expressions, files, processes.
// run: argument
import Foundation

struct Address: Codable, Equatable { var street: String; var number: Int? }
struct Person: Codable, Equatable { var name: String; var born: Date; var homes: [Address]; var tags: Set<String>; var raw: Data; var kind: Kind
  enum Kind: String, Codable, CaseIterable { case adult, child }
  enum CodingKeys: String, CodingKey { case name = "full_name", born, homes, tags, raw, kind } }
class Vehicle: Codable { var wheels: Int; init(wheels: Int) { self.wheels = wheels } }
final class Car: Vehicle { var brand = "none"; enum Keys: String, CodingKey { case brand }
  override init(wheels: Int) { super.init(wheels: wheels) }
  required init(from decoder: any Decoder) throws { brand = try decoder.container(keyedBy: Keys.self).decode(String.self, forKey: .brand); try super.init(from: decoder) }
  override func encode(to encoder: any Encoder) throws { try super.encode(to: encoder); var c = encoder.container(keyedBy: Keys.self); try c.encode(brand, forKey: .brand) } }
enum Message: Codable { case text(String), move(x: Int, y: Int) }

let encoder = JSONEncoder(); encoder.outputFormatting = [.sortedKeys, .prettyPrinted]; encoder.dateEncodingStrategy = .iso8601
let decoder = JSONDecoder(); decoder.dateDecodingStrategy = .iso8601
let person = Person(name: "Ann", born: Date(timeIntervalSince1970: 86400 * 365), homes: [Address(street: "Main", number: 5), Address(street: "Side")], tags: ["a"], raw: Data([1, 2, 255]), kind: .child)
let json = try encoder.encode(person)
print(String(decoding: json, as: UTF8.self), try decoder.decode(Person.self, from: json) == person)
let car = Car(wheels: 4); car.brand = "Fiat"
print(try decoder.decode(Car.self, from: encoder.encode(car)).brand, String(decoding: try JSONEncoder().encode(Message.text("hi")), as: UTF8.self))
do { _ = try decoder.decode(Person.self, from: Data("{\"full_name\": 3}".utf8)) } catch let DecodingError.typeMismatch(type, context) { print(type, context.codingPath.map(\.stringValue)) }
let list = try PropertyListEncoder().encode(["k": [1, 2]]); print(try PropertyListDecoder().decode([String: [Int]].self, from: list))
var calendar = Calendar(identifier: .gregorian); calendar.timeZone = TimeZone(identifier: "UTC")!
print(calendar.dateComponents([.year, .month, .day, .weekday], from: person.born).year ?? 0, ISO8601DateFormatter().string(from: person.born))
let formatter = DateFormatter(); formatter.locale = Locale(identifier: "en_US_POSIX"); formatter.timeZone = calendar.timeZone; formatter.dateFormat = "EEEE d MMMM yyyy"; print(formatter.string(from: person.born))
let expression = try NSRegularExpression(pattern: "(\\w+)@(\\w+)"); let text = "ann@home bob@work"
print(expression.matches(in: text, range: NSRange(text.startIndex..., in: text)).map { (text as NSString).substring(with: $0.range(at: 2)) })
let folder = FileManager.default.temporaryDirectory.appendingPathComponent("hotlink-\(UUID().uuidString)")
try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
try "contents".write(to: folder.appendingPathComponent("f.txt"), atomically: true, encoding: .utf8)
print(try FileManager.default.contentsOfDirectory(atPath: folder.path), try String(contentsOf: folder.appendingPathComponent("f.txt"), encoding: .utf8)); try FileManager.default.removeItem(at: folder)
let process = Process(); process.executableURL = URL(fileURLWithPath: "/bin/sh"); process.arguments = ["-c", "echo from a child; exit 3"]
let pipe = Pipe(); process.standardOutput = pipe; try process.run(); let output = pipe.fileHandleForReading.readDataToEndOfFile(); process.waitUntilExit()
print(String(decoding: output, as: UTF8.self), process.terminationStatus, ProcessInfo.processInfo.arguments.count)
print(URL(string: "https://host:80/a/b?q=1#f")?.lastPathComponent ?? "", String(format: "%05.2f %@", 3.14159, "text"), "  trim ".trimmingCharacters(in: .whitespaces), "a-b".components(separatedBy: "-"))
let lock = NSLock(); let group = DispatchGroup(); nonisolated(unsafe) var total = 0
for i in 1...20 { DispatchQueue.global().async(group: group) { lock.withLock { total += i } } }; group.wait(); print(total, NSNumber(value: 3).intValue, Measurement(value: 1, unit: UnitLength.kilometers).converted(to: .meters).value)
print(Decimal(string: "0.1")! + Decimal(string: "0.2")!, UInt8(ascii: "A"), (1...3).map { $0 }.description, Data("abc".utf8).base64EncodedString())
exit(23)

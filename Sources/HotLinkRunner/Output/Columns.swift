// A table for people: columns as wide as their widest cell, numbers to the right, two spaces between.

/// Rows of text under a title row.
struct Columns {
  enum Side {
    case left, right
  }

  private let titles: [String]
  private let sides: [Side]
  private var rows: [[String]] = []

  /// - Parameter titles: one a column; `>` before a title puts the column's cells to the right.
  init(_ titles: [String]) {
    sides = titles.map { $0.hasPrefix(">") ? .right : .left }
    self.titles = titles.map { $0.hasPrefix(">") ? String($0.dropFirst()) : $0 }
  }

  mutating func add(_ cells: [String]) { rows.append(cells) }

  /// Lines indented by two, each ended by a line feed; nothing trails.
  var text: String {
    var widths = titles.map(\.count)
    for row in rows {
      for (column, cell) in row.enumerated() where column < widths.count {
        widths[column] = max(widths[column], cell.count)
      }
    }
    var text = ""
    for row in [titles] + rows {
      var line = ""
      for (column, cell) in row.enumerated() where column < widths.count {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        line += "  " + (sides[column] == .right ? padding + cell : cell + padding)
      }
      while line.last == " " { line.removeLast() }
      text += line + "\n"
    }
    return text
  }
}

/// Lines of comma-separated values (RFC 4180), with a line feed at each end.
public enum CSVText {
  /// One line.
  public static func line(_ fields: [String]) -> String { fields.map(field).joined(separator: ",") + "\n" }

  /// A field, in quotation marks where it holds what would end it.
  public static func field(_ text: String) -> String {
    guard text.utf8.contains(where: { [0x22, 0x2C, 0x0A, 0x0D].contains($0) }) || text.first == " " || text.last == " "
    else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }

  /// A value: the shortest decimal that is this number and no other; `nan`, `inf` and `-inf` as everybody reads them.
  public static func number(_ value: Double) -> String { "\(value)" }
}

/// Writes SVG, element by element.
///
/// Attributes and texts are escaped, names are ours.
struct Markup {
  private(set) var text = ""

  /// An element and what is in it.
  ///
  /// Attributes come in the order of their names, so that equal charts are equal texts.
  mutating func element(
    _ name: String, _ attributes: [String: String] = [:], _ content: (inout Markup) -> Void = { _ in }
  ) {
    text += "<" + name
    for (key, value) in attributes.sorted(by: { $0.key < $1.key }) {
      text += " \(key)=\"\(escaped(value))\""
    }
    var inner = Markup()
    content(&inner)
    text += inner.text.isEmpty ? "/>" : ">\(inner.text)</\(name)>"
  }

  /// Text.
  mutating func write(_ words: String) { text += escaped(words) }
}

/// A number as SVG reads it, to the hundredth.
func coordinate(_ value: Double) -> String { decimal(value, digits: 2) }

/// A share of the width, as SVG reads it.
func percent(_ share: Double) -> String { decimal(share * 100, digits: 3) + "%" }

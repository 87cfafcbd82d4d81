/// An address of a service, in its parts.
struct ServiceAddress: Hashable, Sendable {
  /// `http` or `https`.
  var scheme: String
  /// Host and, where it is told, port.
  var authority: String
  /// What follows, as it was written; empty or with a slash at its start.
  var path: String

  /// Reads `https://host:port/path`; nil where it is no such address.
  init?(_ text: String) {
    guard let separator = text.firstRange(of: "://") else { return nil }
    scheme = text[..<separator.lowerBound].lowercased()
    let rest = text[separator.upperBound...]
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    authority = String(rest[..<slash])
    path = String(rest[slash...])
    guard scheme == "http" || scheme == "https", !authority.isEmpty else { return nil }
  }

  /// Without the path.
  var origin: String { "\(scheme)://\(authority)" }
}

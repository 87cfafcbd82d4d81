import Dashboard
import HTTPTypes
import Hummingbird
import NIOCore

extension Response {
  /// Bytes that somebody's program wrote, for a browser to keep as a file: it neither shows them nor runs what is in
  /// them in the place of our pages, whatever they are called.
  static func download(
    _ path: String, length: Int64,
    _ produce: @escaping @Sendable (_ send: @escaping @Sendable (ByteBuffer) async -> Void) async throws -> Void
  ) -> Response {
    var response = Response.stream(contentType: "application/octet-stream", length: length, produce)
    response.headers[.contentDisposition] = disposition(ofFileAt: path)
    response.headers[.xContentTypeOptions] = "nosniff"
    response.headers[.contentSecurityPolicy] = "default-src 'none'; sandbox"
    return response
  }

  /// What a browser is told to call the file at `path`: its last part, as RFC 6266 has it, and in plain letters for who
  /// reads no other.
  static func disposition(ofFileAt path: String) -> String {
    let name = path.split(separator: "/").last.map(String.init) ?? "artifact"
    let plain = name.unicodeScalars.map { scalar in
      switch scalar {
      case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-": Character(scalar)
      default: Character("_")
      }
    }
    return "attachment; filename=\"\(String(plain))\"; filename*=UTF-8''\(pathComponent(name))"
  }
}

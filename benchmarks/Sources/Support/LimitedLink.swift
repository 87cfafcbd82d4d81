import Foundation
import Glibc

/// A network namespace behind a link whose far end sends no faster than a rate; takes root.
struct LimitedLink: Sendable {
  /// The name of the namespace.
  let name: String
  /// The address of its end.
  let address: String
  private let near: String

  /// Before the number of the process that a namespace belongs to.
  private static let prefix = "baton-bench-"

  /// Makes a link, lends it, and takes it and the namespace away, also when `body` throws.
  ///
  /// A bench that is killed leaves both; the next one that makes a link takes them away.
  ///
  /// - Parameter mebibytesPerSecond: what the far end sends at most.
  static func with<T>(mebibytesPerSecond: Int, _ body: (LimitedLink) async throws -> T) async throws -> T {
    let process = ProcessInfo.processInfo.processIdentifier
    // 198.18.0.0/15 is for benchmarks (RFC 2544).
    let network = "198.18.\(process % 250)"
    let link = LimitedLink(name: "\(prefix)\(process)", address: "\(network).2", near: "bb\(process)")
    try await takeAwayWhatIsLeft()
    let outcome: Result<T, any Error>
    do {
      try await ip(["netns", "add", link.name])
      try await ip(["link", "add", link.near, "type", "veth", "peer", "name", "store", "netns", link.name])
      try await ip(["address", "add", "\(network).1/30", "dev", link.near])
      try await ip(["link", "set", link.near, "up"])
      for command in ["address add \(link.address)/30 dev store", "link set store up", "link set lo up"] {
        try await ip(["-n", link.name] + command.split(separator: " ").map(String.init))
      }
      try await Child.checked(
        "tc",
        [
          "-n", link.name, "qdisc", "add", "dev", "store", "root", "tbf", "rate", "\(mebibytesPerSecond << 20)bps",
          "burst", "1mb", "latency", "200ms",
        ])
      outcome = .success(try await body(link))
    } catch {
      outcome = .failure(error)
    }
    // Its end of the link goes with it.
    try await ip(["netns", "delete", link.name])
    return try outcome.get()
  }

  /// What runs a program behind the link.
  var launcher: [String] { ["ip", "netns", "exec", name] }

  /// Bytes that came over the link so far, with the headers of all packets.
  func bytesReceived() throws -> Int64 {
    let path = "/sys/class/net/\(near)/statistics/rx_bytes"
    let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
    guard let bytes = Int64(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
      throw BenchFailure("\(path) says \(text)")
    }
    return bytes
  }

  /// Takes the namespaces away whose process is not there any more, or is another program by now; links go with them.
  private static func takeAwayWhatIsLeft() async throws {
    let files = FileManager.default
    let folder = "/run/netns"
    guard files.fileExists(atPath: folder) else { return }
    for name in try files.contentsOfDirectory(atPath: folder) where name.hasPrefix(prefix) {
      guard let owner = Int32(name.dropFirst(prefix.count)), program(owner) != program(getpid()) else { continue }
      do {
        try await ip(["netns", "delete", name])
      } catch {
        // Another bench may have been first.
        if files.fileExists(atPath: "\(folder)/\(name)") { throw error }
      }
    }
  }

  /// What a process runs; nil where there is none.
  private static func program(_ process: Int32) -> Data? {
    FileManager.default.contents(atPath: "/proc/\(process)/comm")
  }

  private static func ip(_ arguments: [String]) async throws { try await Child.checked("ip", arguments) }
}

import Domain
import Foundation
import Glibc
import Testing
import Wire

/// The agent as it is pushed to a node: built with the static standard library, on a system without Swift.
///
/// `BATON_TEST_ROOTFS` names the root of such a system, and `BATON_STATIC_AGENT` the binary:
/// `swift build -c release --static-swift-stdlib --product baton-agent`. A root file system is made by
/// `scripts/stock-root.sh FOLDER`. It takes root to enter it.
@Suite(.timeLimit(.minutes(5)))
struct StockNodeTests {
  static let root = ProcessInfo.processInfo.environment["BATON_TEST_ROOTFS"].flatMap { $0.isEmpty ? nil : $0 }
  static let agent = ProcessInfo.processInfo.environment["BATON_STATIC_AGENT"]

  /// What is missing to run it here; nil where nothing is.
  static var missing: String? {
    if root == nil { return "BATON_TEST_ROOTFS does not name what `scripts/stock-root.sh FOLDER` made" }
    if agent == nil { return "BATON_STATIC_AGENT does not name the agent of `make build-node`" }
    return getuid() == 0 ? nil : "entering another root file system takes root"
  }

  @Test(.enabled(if: missing == nil, "not looked at on a stock node: \(missing ?? "") (`make test` as root does)"))
  func answersOnANodeWithoutSwift() async throws {
    let root = try #require(Self.root)
    let agent = try #require(Self.agent)
    let inside = "/baton-agent-\(UUID().uuidString)"
    try FileManager.default.copyItem(atPath: agent, toPath: root + inside)
    defer { unlink(root + inside) }
    #expect(!FileManager.default.fileExists(atPath: root + "/usr/lib/swift"))
    try FileManager.default.createDirectory(atPath: root + "/proc", withIntermediateDirectories: true)
    let process = Process()
    // What is mounted here is seen by this program alone, and goes with it.
    process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    let script = "mount -t proc proc \"$1/proc\" && exec chroot \"$@\""
    process.arguments = ["--mount", "sh", "-c", script, "sh", root, inside, "probe", "--root", "/baton"]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let answer = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    let report = try JSONDecoder().decode(NodeReport.self, from: answer)
    #expect(report.protocolVersion == AgentProtocol.version)
    #expect(report.diskTotal > .zero)
    #expect(report.software["glibc"] != nil)
    #expect(report.gpus.isEmpty && report.software["python3"] == nil)
  }
}

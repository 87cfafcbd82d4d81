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

  @Test(.enabled(if: root != nil && agent != nil && getuid() == 0, "BATON_TEST_ROOTFS and BATON_STATIC_AGENT, as root"))
  func answersOnANodeWithoutSwift() async throws {
    let root = try #require(Self.root)
    let agent = try #require(Self.agent)
    let inside = "\(root)/baton-agent-\(UUID().uuidString)"
    try FileManager.default.copyItem(atPath: agent, toPath: inside)
    defer { unlink(inside) }
    #expect(!FileManager.default.fileExists(atPath: root + "/usr/lib/swift"))
    try FileManager.default.createDirectory(atPath: root + "/proc", withIntermediateDirectories: true)
    try #require(mount("proc", root + "/proc", "proc", 0, nil) == 0)
    defer { umount2(root + "/proc", Int32(MNT_DETACH)) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/sbin/chroot")
    process.arguments = [root, "/" + (inside as NSString).lastPathComponent, "probe", "--root", "/baton"]
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

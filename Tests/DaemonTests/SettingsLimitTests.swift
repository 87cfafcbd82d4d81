import Foundation
import SSH
import Testing

@testable import Daemon

@Suite struct SettingsLimitTests {
  /// Reads a file of settings that are right but for `extra`.
  private func read(_ extra: String, port: Int = 8080) throws -> Settings {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("baton-\(UUID().uuidString).json")
    defer { try? FileManager.default.removeItem(at: path) }
    let text = """
      {"database": "dbname=baton", "listen": {"host": "127.0.0.1", "port": \(port)}, "object_store": "file:///tmp",
       "ssh": {"key_path": "key"}, "agent_binary": "agent", "migrations": "migrations"\(extra)}
      """
    try Data(text.utf8).write(to: path)
    return try Settings.read(path.path)
  }

  @Test(arguments: [
    "probe_interval_seconds", "ending_lead_seconds", "reach_patience_seconds", "node_answer_seconds", "launch_seconds",
    "last_save_seconds",
  ])
  func refusesALengthThatMakesNoSense(name: String) throws {
    _ = try read(", \"\(name)\": 20")
    for value in ["-1", "1e300"] {
      let error = #expect(throws: SettingsError.self) { try read(", \"\(name)\": \(value)") }
      #expect(error?.problem.contains(name) == true)
    }
  }

  @Test func whatANodeMayTakeLimitsEveryStepWithItAndHowLongItIsSilent() throws {
    #expect(try read("").sessions == SSHSettings())
    let quick = try read(", \"node_answer_seconds\": 3").sessions
    let limits = [
      quick.connectTimeout, quick.handshakeTimeout, quick.authenticationTimeout, quick.channelOpenTimeout,
      quick.execRequestTimeout, quick.keepaliveInterval,
    ]
    #expect(Set(limits) == [.seconds(3)])
    // A patient site is not to notice later than others that a node is gone.
    #expect(try read(", \"node_answer_seconds\": 60").sessions.keepaliveInterval == SSHSettings().keepaliveInterval)
  }

  @Test func refusesObjectsWithoutASize() throws {
    #expect(try read("").objectBytesMost == 64 << 30)
    #expect(try read(", \"object_bytes_most\": 5").objectBytesMost == 5)
    #expect(throws: SettingsError.self) { try read(", \"object_bytes_most\": 0") }
  }

  @Test func refusesToProbeWithoutAPause() {
    #expect(throws: SettingsError.self) { try read(", \"probe_interval_seconds\": 0") }
  }

  @Test(arguments: [0, 1001]) func refusesANumberOfLossesThatMakesNoSense(number: Int) throws {
    _ = try read(", \"lost_attempts_most\": 3")
    let error = #expect(throws: SettingsError.self) { try read(", \"lost_attempts_most\": \(number)") }
    #expect(error?.problem.contains("lost_attempts_most") == true)
  }

  @Test(arguments: [-1, 65_536]) func refusesAPortThatIsNone(port: Int) {
    #expect(throws: SettingsError.self) { try read("", port: port) }
  }
}

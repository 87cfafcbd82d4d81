import Domain
import Foundation
import HTTPTypes
import Store
import Testing
import Wire

@testable import Daemon

@Suite struct MetricLineTests {
  @Test func readsAPointWithEveryBitOfItsValue() throws {
    let value = 2.302585092994046
    let point = try #require(
      MetricLine.parse(#"{"step": 7, "metric": "loss", "value": \#(value), "time": 1795000000.25, "epoch": 1}"#))
    #expect(point.step == 7)
    #expect(point.metric == "loss")
    #expect(point.value.bitPattern == value.bitPattern)
    #expect(point.recordedAt == Timestamp(microseconds: 1_795_000_000_250_000))
  }

  @Test(arguments: [
    "", "loss 3", "{}", #"{"step": -1, "metric": "loss", "value": 1}"#, #"{"step": 1, "metric": "", "value": 1}"#,
  ])
  func aLineThatIsNoPointIsPassedOver(text: String) {
    #expect(MetricLine.parse(text) == nil)
  }
}

@Suite struct OpenAPITests {
  @Test func describesEveryRoute() throws {
    let data = try JSONEncoder().encode(OpenAPI.document(of: API.routes))
    let document = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    let paths = try #require(document["paths"] as? [String: [String: Any]])
    #expect(document["openapi"] as? String == "3.1.0")
    for route in API.routes {
      #expect(paths[API.root + route.path]?[route.method.rawValue.lowercased()] != nil, "\(route.path)")
    }
  }

  @Test func noTwoRoutesHaveOneAddress() {
    let addresses = API.routes.map { "\($0.method) \($0.path)" }
    #expect(Set(addresses).count == addresses.count)
  }

  @Test func onlyHealthNeedsNoToken() {
    let open = API.routes.filter { if case .open = $0.access { true } else { false } }
    #expect(open.map(\.path) == ["/health"])
  }
}

@Suite struct SettingsTests {
  private func read(_ text: String) throws -> Settings {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("settings-\(UUID().uuidString).json").path
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try Settings.read(path)
  }

  private let whole = """
    {"database": "dbname=x", "listen": {"host": "HOST", "port": 1}, "object_store": "file:///o",
     "ssh": {"key_path": "key"}, "agent_binary": "agent", "migrations": "m"}
    """

  @Test func namesWhatIsMissing() {
    let error = #expect(throws: SettingsError.self) { try read(#"{"database": "x"}"#) }
    #expect(error?.description.contains("'listen' is missing") == true)
  }

  @Test func refusesToListenWhereThereIsNoTLS() {
    let error = #expect(throws: SettingsError.self) { try read(whole.replacing("HOST", with: "0.0.0.0")) }
    #expect(error?.description.contains("loopback") == true)
  }

  @Test func takesPathsRelativeToTheFile() throws {
    let settings = try read(whole.replacing("HOST", with: "127.0.0.1"))
    #expect(settings.agentBinary.hasPrefix("/"))
    #expect(settings.objectStore == "file:///o")
  }
}

import APIClient
import Foundation
import Glibc
import Testing

@Suite struct ConfigurationTests {
  private func withConfiguration(
    _ text: String, mode: mode_t = 0o600, _ body: (String) throws -> Void
  ) async throws {
    try await withFolder { folder in
      try write(text, "\(folder)/client.json")
      #expect(chmod("\(folder)/client.json", mode) == 0)
      try body("\(folder)/client.json")
    }
  }

  private func message(_ file: String?, _ environment: [String: String]) -> String {
    let error = #expect(throws: ClientFailure.self) {
      try ClientConfiguration.load(file: file, environment: environment)
    }
    guard case .configuration(let text) = error else { return "\(String(describing: error))" }
    return text
  }

  @Test func readsTheNamedFileThenTheEnvironmentsThenTheHomes() async throws {
    try await withFolder { folder in
      try write(#"{"url": "http://named:1/", "token": "n"}"#, "\(folder)/named.json")
      try write(#"{"url": "http://environment:2"}"#, "\(folder)/environment.json")
      try write(#"{"url": "http://home:3"}"#, "\(folder)/.config/baton/config.json")
      var environment = ["HOME": folder]
      let home = try ClientConfiguration.load(environment: environment)
      #expect(home.url == "http://home:3")
      environment["BATON_CONFIG"] = "\(folder)/environment.json"
      let other = try ClientConfiguration.load(environment: environment)
      #expect(other.url == "http://environment:2")
      let named = try ClientConfiguration.load(file: "\(folder)/named.json", environment: environment)
      #expect(named.url == "http://named:1")
      #expect(named.token == "n")
    }
  }

  @Test func environmentGoesBeforeTheFile() async throws {
    try await withConfiguration(#"{"url": "http://a:1", "token": "old"}"#) { file in
      let tokenFile = file + ".token"
      try write("new\n", tokenFile)
      let found = try ClientConfiguration.load(
        file: file, environment: ["BATON_URL": "https://b", "BATON_TOKEN_FILE": tokenFile])
      #expect(found.url == "https://b")
      #expect(found.token == "new")
    }
  }

  @Test func warnsOfATokenThatOthersCanRead() async throws {
    try await withConfiguration(#"{"url": "http://a:1", "token": "t"}"#, mode: 0o644) { file in
      let found = try ClientConfiguration.load(file: file, environment: [:])
      #expect(
        found.warnings
          == ["\(file) holds a token and others can read it: run chmod 600 \(file)"])
    }
    try await withConfiguration(#"{"url": "http://a:1"}"#, mode: 0o644) { file in
      let found = try ClientConfiguration.load(file: file, environment: [:])
      #expect(found.warnings.isEmpty)
    }
  }

  @Test func saysWhatIsWrongAndWhatToDo() async throws {
    #expect(message(nil, ["HOME": "/nonexistent"]).contains("no server is named: set BATON_CONFIG"))
    #expect(message("/nonexistent/x.json", [:]).contains("there is no such file"))
    try await withConfiguration("url: http://a") { file in
      #expect(message(file, [:]).contains("is not a configuration"))
    }
    #expect(message(nil, ["BATON_URL": "somewhere"]).contains("write http://HOST:PORT"))
    #expect(message(nil, ["BATON_URL": "ftp://x"]).contains("write http://HOST:PORT"))
    try await withConfiguration(#"{"url": "http://a", "token": "x\ny"}"#) { file in
      #expect(message(file, [:]).contains("copy it again"))
    }
  }
}

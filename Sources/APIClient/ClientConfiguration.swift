import Foundation
import Glibc

/// Where the server is and by what right the client speaks to it.
///
/// The token comes from a file only: arguments and environment of a process are there for others to read.
public struct ClientConfiguration: Sendable, Hashable {
  /// Base address, without the `/api/v1`, without a slash at its end.
  public var url: String
  /// The bearer token; nil speaks without one, which only `/health` answers.
  public var token: String?
  /// What a person should know about the settings, one sentence each.
  public var warnings: [String]

  /// A configuration; slashes at the end of `url` are dropped.
  public init(url: String, token: String?, warnings: [String] = []) {
    var url = url
    while url.hasSuffix("/") { url.removeLast() }
    self.url = url
    self.token = token
    self.warnings = warnings
  }

  /// What a configuration file holds.
  private struct File: Decodable {
    var url: String
    var token: String?
  }

  /// Reads the settings.
  ///
  /// The file is `file`, else `BATON_CONFIG`, else `~/.config/baton/config.json`, which need not exist.
  /// `BATON_URL` and `BATON_TOKEN_FILE` go before what it says. A file with a token that others may read is
  /// used, and warned about.
  ///
  /// - Throws: `.configuration` for a file that was named and cannot be read, one that is not the JSON it should
  ///   be, an address that is none, and where nothing names a server.
  public static func load(
    file: String? = nil, environment: [String: String]
  ) throws(ClientFailure) -> ClientConfiguration {
    let named = file ?? environment["BATON_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
    let home = environment["XDG_CONFIG_HOME"] ?? environment["HOME"].map { $0 + "/.config" }
    let path = named ?? home.map { $0 + "/baton/config.json" }
    var warnings: [String] = []
    var found: File?
    if let path, named != nil || access(path, F_OK) == 0 {
      found = try read(path)
      if found?.token != nil { warnings += complaint(about: path) }
    }
    var token = found?.token
    if let tokenFile = environment["BATON_TOKEN_FILE"], !tokenFile.isEmpty {
      token = try text(of: tokenFile).trimmingCharacters(in: .whitespacesAndNewlines)
      warnings += complaint(about: tokenFile)
    }
    let environmentURL = environment["BATON_URL"].flatMap { $0.isEmpty ? nil : $0 }
    guard let url = environmentURL ?? found?.url else {
      throw .configuration(
        "no server is named: set BATON_CONFIG to the client.json of a lab (`baton lab up` prints it), or write "
          + #"{"url": "https://...", "token": "..."} to \#(path ?? "~/.config/baton/config.json")"#)
    }
    guard let parsed = URL(string: url), ["http", "https"].contains(parsed.scheme), parsed.host() != nil else {
      throw .configuration("the server's address '\(url)' is not one: write http://HOST:PORT or https://HOST")
    }
    if let token, token.isEmpty || token.unicodeScalars.contains(where: { $0.value < 33 || $0.value > 126 }) {
      throw .configuration("the token is empty or has characters that no token has: copy it again, in one line")
    }
    return ClientConfiguration(url: url, token: token, warnings: warnings)
  }

  private static func read(_ path: String) throws(ClientFailure) -> File {
    let content = try text(of: path)
    do {
      return try JSONDecoder().decode(File.self, from: Data(content.utf8))
    } catch {
      throw .configuration(#"\#(path) is not a configuration: it should hold {"url": "http://...", "token": "..."}"#)
    }
  }

  private static func text(of path: String) throws(ClientFailure) -> String {
    do {
      return try String(contentsOfFile: path, encoding: .utf8)
    } catch {
      let reason = access(path, F_OK) == 0 ? "it may not be read, or is not text" : "there is no such file"
      throw .configuration("cannot use the configuration \(path) (\(reason)): check BATON_CONFIG and BATON_TOKEN_FILE")
    }
  }

  private static func complaint(about path: String) -> [String] {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & 0o077 != 0 else { return [] }
    return ["\(path) holds a token and others can read it: run chmod 600 \(path)"]
  }
}

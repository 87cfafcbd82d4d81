import ArgumentParser
import Domain
import Foundation

/// Checks of what was typed that need no server: the server says the same, only later.
enum Checked {
  /// A duration, as the server reads it.
  @Sendable static func duration(_ text: String) throws -> String {
    do { _ = try TimeSpan(parsing: text) } catch { throw ValidationError(error.description) }
    return text
  }

  /// A moment, as the server reads it; relative ones are left for its clock.
  @Sendable static func moment(_ text: String) throws -> String {
    do {
      _ = try Timestamp(parsing: text, now: Timestamp(microseconds: 0))
    } catch {
      throw ValidationError(error.description)
    }
    return text
  }

  /// A length of time for this client itself.
  @Sendable static func span(_ text: String) throws -> TimeSpan {
    do { return try TimeSpan(parsing: text) } catch { throw ValidationError(error.description) }
  }

  /// An amount of data.
  @Sendable static func bytes(_ text: String) throws -> ByteCount {
    guard let amount = ByteCount(parsing: text) else {
      throw ValidationError("'\(text)' is not an amount of data: write 500MB, 2GiB")
    }
    return amount
  }

  /// What of a data set a node gets.
  @Sendable static func stagingMode(_ text: String) throws -> StagingMode {
    guard let mode = StagingMode(rawValue: text) else {
      throw ValidationError(
        "'\(text)' is no way to stage: \(StagingMode.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return mode
  }

  /// Names with commas between them.
  @Sendable static func names(_ text: String) throws -> [String] {
    let names = text.split(separator: ",").map(String.init)
    guard !names.isEmpty else { throw ValidationError("name at least one, as in n1,n2") }
    return names
  }
}

/// Help texts.
enum Help {
  /// Examples below a command's help.
  static func examples(_ lines: String...) -> String {
    "EXAMPLES:\n" + lines.map { "  " + $0 }.joined(separator: "\n")
  }
}

import Foundation
import Testing

@Suite struct CoverageTests {
  /// A statement that was never run against the schema may not even parse.
  ///
  /// So every public function of the store has to be called by a test here; this reads the sources to find one that was
  /// forgotten.
  @Test func everyFunctionOfTheStoreRunsAgainstPostgreSQL() throws {
    let sources = try text(ofFilesIn: StoreFixture.repository + "/Sources/Store")
    let tests = try text(ofFilesIn: StoreFixture.repository + "/Tests/StoreTests")
    let functions = sources.matches(of: /public func ([A-Za-z]+)\(\s*([A-Za-z_]*)/).map { ("\($0.1)", "\($0.2)") }
    #expect(functions.count > 60)
    // The first label tells functions of one name apart.
    let forgotten = try functions.filter { name, label in
      let first = label == "_" || label.isEmpty ? "(?![A-Za-z]+:)" : "(\(label):|\\))"
      return try !tests.contains(Regex("store\\.\(name)\\(\\s*\(first)"))
    }
    #expect(forgotten.map { "\($0)(\($1):)" }.sorted() == [])
  }

  private func text(ofFilesIn folder: String) throws -> String {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".swift") }
    return try names.map { try String(contentsOfFile: folder + "/" + $0, encoding: .utf8) }.joined()
  }
}

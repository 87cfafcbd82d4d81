import Foundation
import JobFile
import Testing

/// The job files that people begin with.
@Suite struct ExampleTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("examples").path

  private static let files = (FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? [])
    .filter { $0.hasSuffix(".yaml") }.sorted()

  @Test func thereAreExamples() { #expect(Self.files.contains("mnist/job.yaml"), "\(Self.files)") }

  @Test(arguments: files) func anExampleIsAJobFile(_ path: String) throws {
    let text = try String(contentsOfFile: "\(Self.folder)/\(path)", encoding: .utf8)
    _ = try parseJobFileMembers(text, fileName: path)
  }
}

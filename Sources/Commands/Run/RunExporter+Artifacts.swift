import APIClient
import Domain
import ObjectStorage
import Wire

extension RunExporter {
  /// What the run's ranks left to be kept, below the folder `base` of the export; gives each with its path there.
  func writeArtifacts(below base: String) async throws -> [(artifact: ArtifactView, path: String)] {
    var written: [(artifact: ArtifactView, path: String)] = []
    for artifact in try await client.artifacts(ofRun: "\(run.id)").items {
      // What the server says is not to write elsewhere.
      guard CodeArchive.isInside(artifact.path) else {
        throw CommandFailure(.foundTrouble, "'\(Printable.line(artifact.path))' would lie outside of the export")
      }
      let path = "\(base)/\(ArtifactText.place(of: artifact, byAttempt: false))"
      let file = try folder.begin(path)
      for try await piece in try await client.data(of: artifact, ofRun: "\(run.id)") { try file.append(piece) }
      guard try file.end() == artifact.bytes.bytes else {
        throw CommandFailure(.unreachable, "\(Printable.line(artifact.path)) did not come whole: try again")
      }
      written.append((artifact, path))
    }
    return written
  }
}

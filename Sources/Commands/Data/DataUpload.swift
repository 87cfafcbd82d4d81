import APIClient
import Domain
import Synchronization
import Wire

/// Brings a folder into the store and registers it as a version of a data set.
struct DataUpload: Sendable {
  let client: BatonClient
  let console: Console

  /// Reads `path`, sends what the store does not have, registers it as `name`.
  func run(name: String, path: String, source: String) async throws -> DatasetView {
    let files = try DataFolder.files(at: path)
    let manifest = try await manifest(of: files)
    let wanted = Set(manifest.entries.map(\.sha256)).sorted()
    let missing = Set(try await client.missingBlobs(BlobList(sha256: wanted)).sha256)
    try await send(zip(files, manifest.entries).filter { missing.contains($0.1.sha256) })
    return try await client.registerDataset(DatasetRequest(name: name, source: source, manifest: manifest))
  }

  private func manifest(of files: [DataFile]) async throws -> Manifest {
    let progress = ProgressPrinter(
      "reading", total: ByteCount(files.reduce(0) { $0 + $1.size }), console)
    var entries: [ManifestEntry] = []
    for file in files {
      let sha256 = try await DataFolder.hash(file) { progress.add($0) }
      entries.append(ManifestEntry(path: file.path, size: file.size, sha256: sha256))
    }
    progress.end()
    guard let manifest = Manifest(entries) else {
      throw CommandFailure(.badInput, "the folder holds names that a data set cannot: rename files with odd names")
    }
    return manifest
  }

  /// Sends each content once, four at a time.
  private func send(_ files: [(DataFile, ManifestEntry)]) async throws {
    var seen: Set<String> = []
    let unique = files.filter { seen.insert($0.1.sha256).inserted }
    guard !unique.isEmpty else { return }
    let progress = ProgressPrinter("sending", total: ByteCount(unique.reduce(0) { $0 + $1.1.size }), console)
    try await withThrowingTaskGroup(of: Void.self) { group in
      var rest = unique[...]
      func sendNext() {
        guard let (file, entry) = rest.popFirst() else { return }
        group.addTask {
          try await self.client.uploadBlob(
            sha256: entry.sha256, path: file.location, size: ByteCount(entry.size)
          ) { progress.add(Int64($0)) }
        }
      }
      for _ in 0..<4 { sendNext() }
      while try await group.next() != nil { sendNext() }
    }
    progress.end()
  }
}

/// Draws a progress bar on standard error from any number of tasks.
final class ProgressPrinter: Sendable {
  private struct State {
    var bar: ProgressBar
    var done: Int64 = 0
  }

  private let state: Mutex<State>
  private let total: ByteCount
  private let console: Console

  init(_ label: String, total: ByteCount, _ console: Console) {
    self.total = total
    self.console = console
    state = Mutex(
      State(
        bar: ProgressBar(
          label: label, total: total, isTerminal: console.errorIsTerminal, width: console.width,
          at: Context.uptime())))
  }

  /// Tells that `bytes` more are done.
  func add(_ bytes: Int64) {
    state.withLock { state in
      // What is sent again after a broken connection is counted again: the bar stays below its end until the end.
      state.done = min(state.done + bytes, max(0, total.bytes - 1))
      print(&state, ByteCount(state.done))
    }
  }

  /// Tells that all is done.
  func end() { state.withLock { print(&$0, total) } }

  private func print(_ state: inout State, _ done: ByteCount) {
    if let text = state.bar.update(done, at: Context.uptime()) { console.noteInPlace(text) }
  }
}

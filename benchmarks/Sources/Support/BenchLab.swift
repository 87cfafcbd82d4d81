import APIClient
import Domain
import Foundation
import Lab
import Wire

/// A testbed for one bench: made, lent, taken down whatever happens.
struct BenchLab: Sendable {
  let lab: Lab
  let description: LabDescription
  /// A folder outside all nodes, which outlives what is on them.
  let outside: String
  let progress: Progress
  private let options: BenchOptions

  /// Brings a lab up, lends it to `body`, and takes it down, also when `body` throws.
  ///
  /// Objects are in a folder of the lab, or in `objectStore`. If this process is killed the lab goes as well; only its folder `outside` stays.
  static func with<T>(
    _ name: String, _ options: BenchOptions, nodes: Int, hasController: Bool = true, disk: ByteCount = .gibibytes(2),
    objectStore: LabSettings.ObjectStoreChoice? = nil, _ body: (BenchLab) async throws -> T
  ) async throws -> T {
    let progress = Progress(name)
    let folder = options.scratchFolder(name)
    let root = "\(folder)/lab"
    let outside = "\(folder)/outside"
    try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: true)
    let bin = options.binFolder
    let programs = LabPrograms(
      binFolder: options.nodeBinFolder, controller: hasController ? "\(bin)/batond" : nil,
      agent: "\(options.nodeBinFolder)/baton-agent",
      warden: hasController ? ["\(bin)/baton", "lab", "warden", "--lab", root] : nil,
      migrations: BenchOptions.absolute(options.migrations))
    let settings = LabSettings(
      root: root, programs: programs, nodeCount: nodes, diskSize: disk, dieWithParent: true,
      objectStore: objectStore)
    let outcome: Result<T, any Error>
    do {
      progress.say("bringing up a lab of \(nodes) nodes in \(root)")
      let description = try await Lab.up(settings)
      let bench = BenchLab(
        lab: Lab(root: root), description: description, outside: outside, progress: progress, options: options)
      if hasController { try await bench.addNodes() }
      outcome = .success(try await body(bench))
    } catch {
      outcome = .failure(error)
    }
    progress.say("taking the lab down")
    do {
      try await Lab(root: root).down(keepLogs: options.keepLogs)
      if !options.keepLogs { try FileManager.default.removeItem(atPath: folder) }
    } catch {
      progress.say("the lab is not gone: \(error)")
    }
    return try outcome.get()
  }

  /// The names of the nodes, `n1` first.
  var nodeNames: [String] { description.nodes.map(\.name) }

  /// Lends a client of the lab's server.
  func withClient<T>(_ body: (BatonClient) async throws -> T) async throws -> T {
    let configuration = try ClientConfiguration.load(file: description.clientConfiguration, environment: [:])
    return try await BatonClient.with(configuration, body)
  }

  /// Brings a folder into the store as a data set.
  func addDataset(_ name: String, _ folder: String) async throws {
    guard let configuration = description.clientConfiguration else { return }
    try await Child.checked(
      "\(options.binFolder)/baton", ["data", "add", name, folder], environment: ["BATON_CONFIG": configuration])
  }

  /// Brings random bytes into the store as a data set of eight files.
  func addRandomData(_ name: String, mebibytes: Int) async throws {
    progress.say("\(mebibytes) MiB of random data go to the store")
    let folder = "\(outside)/data"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for index in 0..<8 {
      let size = mebibytes * 1024 / 8
      try await Child.checked(
        "dd", ["if=/dev/urandom", "of=\(folder)/part-\(index)", "bs=1024", "count=\(size)", "status=none"])
    }
    try await addDataset(name, folder)
    try FileManager.default.removeItem(atPath: folder)
  }

  private func addNodes() async throws {
    try await withClient { client in
      for node in description.nodes {
        let check = try await client.addNode(
          NodeRequest(
            name: node.name, address: node.address, port: node.port, user: node.user, hostKey: node.hostPublicKey,
            nodeType: "lab", rootPath: node.rootPath))
        if let failed = check.steps.first(where: { !$0.passed }) {
          throw BenchFailure("\(node.name): \(failed.name): \(failed.detail)")
        }
      }
    }
  }
}

extension BatonClient {
  /// Submits a job file; throws where it is not taken.
  func submit(file: String) async throws -> JobID {
    let key = UUID().uuidString
    let answer = try await submit(
      SubmitRequest(file: file, fileName: "bench.yaml", submissionKey: key, provenance: SourceProvenance()))
    guard let job = answer.job else { throw BenchFailure("a job was not taken: \(answer.text)") }
    return job.id
  }

  /// Waits until a job is over; a server that is away is waited for.
  func waitForEnd(of job: JobID, within patience: Duration = .seconds(180)) async throws -> JobView {
    var last: JobView?
    try await waitUntil("the end of \(job)", within: patience, every: .milliseconds(100)) {
      do {
        last = try await self.job("\(job)")
      } catch let failure as ClientFailure where failure.isConnectionTrouble {
        return false
      }
      return last?.state.isFinal == true
    }
    guard let last else { throw BenchFailure("\(job) was never seen") }
    return last
  }
}

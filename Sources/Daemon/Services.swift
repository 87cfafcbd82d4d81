import Domain
import Launching
import Logging
import ObjectStorage
import SSH
import Store
import Wire

/// Everything that the loops and the handlers share.
///
/// All of it is safe to be used from many tasks at once.
struct Services: Sendable {
  let settings: Settings
  let store: Store
  let objects: any ObjectStore
  /// Where data sets are read in place.
  let sources: DataSources
  let agents: AgentClient
  let hub: WakeHub
  let progress: LiveProgress
  let ahead = AheadProgress()
  let artifacts = ArtifactShelf()
  let leadership: Leadership
  let logger: Logger
  /// What identifies this agent's build in the node's row.
  let agentVersion: String

  /// How the nodes of a job's attempt reach the object store until its lease ends at `end`: they read data sets and the
  /// run, and write the run; and read the checkpoint of another run that it resumes from.
  ///
  /// A node is done with it before that; the minute is for clocks that differ. Throws `ObjectStoreError`, `StoreError`.
  func storeAccess(of attempt: AttemptRecord, until end: Timestamp) async throws -> StoreAccess {
    let run = ObjectLayout.run(attempt.job.run)
    var read = [ObjectLayout.blobs, ObjectLayout.datasets, run]
    if let id = attempt.resumeCheckpoint {
      // All checkpoints of that run: this one may name chunks that an earlier one brought.
      let checkpoints = ObjectLayout.checkpoints(of: try await store.checkpoint(id).job.run)
      if !checkpoints.hasPrefix(run) { read.append(checkpoints) }
    }
    return try await objects.delegate(read: read, write: [run], until: end + .seconds(60))
  }

  /// How nodes reach data sets, and nothing else, until a lease ends at `end`.
  ///
  /// Throws `ObjectStoreError`.
  func dataAccess(until end: Timestamp) async throws -> StoreAccess {
    try await objects.delegate(
      read: [ObjectLayout.blobs, ObjectLayout.datasets], write: [], until: end + .seconds(60))
  }

  /// What a node is told of a data set version until its lease ends at `end`, with access to where its objects are.
  ///
  /// Throws `ObjectStoreError`.
  func datasetOrder(
    _ version: DatasetVersionRecord, mode: StagingMode, until end: Timestamp
  ) async throws -> DatasetOrder {
    var source: DatasetSource?
    // What is packed is read from Baton's own store.
    if version.pack == nil, let origin = version.origin {
      let store = try await sources.store(of: origin).delegate(read: [""], write: [], until: end + .seconds(60))
      source = DatasetSource(store: store, prefix: "")
    }
    return DatasetOrder(
      id: version.id, name: version.name, contentID: version.contentID, manifestKey: version.manifestKey,
      total: version.size, mode: mode, source: source, packKey: version.pack?.key)
  }

  /// How long before its end a lease takes nothing new.
  var endingLead: TimeSpan { .seconds(settings.endingLeadSeconds ?? 10) }

  /// A node that cannot be reached at all before any rank runs is given up after this, so that the job can go elsewhere.
  var reachPatience: Duration { .seconds(settings.reachPatienceSeconds ?? 30) }

  /// A node as the agents' client wants it.
  ///
  /// Throws `APIFailure` where its pinned key cannot be read.
  func target(_ node: NodeRecord) throws -> NodeTarget {
    guard let hostKey = HostKey(node.request.hostKey) else {
      throw APIFailure(
        .internal, "the pinned host key of node '\(node.request.name)' cannot be read: add the node anew")
    }
    return NodeTarget(
      id: node.id, name: node.request.name,
      endpoint: SSHEndpoint(
        host: node.request.address, port: UInt16(clamping: node.request.port), user: node.request.sshUser),
      hostKey: hostKey, root: node.request.rootPath)
  }
}

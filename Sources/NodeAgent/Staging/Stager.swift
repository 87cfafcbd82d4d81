import Domain
import Glibc
import ObjectStorage
import Synchronization
import Wire

extension StagingFailure: Error {}

/// Brings data sets, and the checkpoint to resume from, to the local disk.
struct Stager: Sendable {
  /// What to bring.
  struct Wishes: Sendable {
    var datasets: [DatasetOrder]
    /// A checkpoint, and the folder in which it becomes `step-N`.
    var resume: (order: ResumeOrder, folder: String)?
    /// Where a link to each data set is made, when there are several.
    var links: String?
    var reserve: ByteCount
    var pinned: Set<String> = []
    var nodeRank = 0
    var nodeCount = 1
    /// Code, the folder that becomes a copy of it, and where its tar is kept; nil for nowhere.
    var code: (order: CodeOrder, folder: String, tar: String?)?

    func name(_ dataset: DatasetOrder) -> ReplicaName { ReplicaName(dataset, rank: nodeRank, count: nodeCount) }
  }

  /// What came of it.
  struct Done: Hashable, Sendable {
    /// What is in place.
    var bytes: ByteCount
    /// What of it came now; nil where nodes that held it gave some.
    var brought: ByteCount?
  }

  var wishes: Wishes
  var node: NodeFolder
  var store: any ObjectStore
  /// How a data set's own store is opened.
  var open: @Sendable (StoreAccess) -> any ObjectStore = { $0.open() }
  var exchange: Exchange?
  var limits = TransferState.Limits()
  var pieceSize = TransferPlan.pieceSize
  /// Bytes that are free on the disk.
  var room: @Sendable (_ root: String) -> ByteCount = { ByteCount((try? Disk.room(at: $0).free) ?? 0) }
  /// Told what happens: `staging`, `peerDistrusted`, `evicted`, `restored`.
  var report: @Sendable (AgentEvent) -> Void

  private var replicas: Replicas { Replicas(node: node) }
  private var environments: Environments { Environments(node: node) }
  private static var pool: BlockingPool { Transfer.pool }

  /// Something that is missing, and how it comes.
  private struct Missing {
    var name: String
    var order: DatasetOrder
    var plan: DatasetPlan
  }

  /// Returns when all is in place; throws `StagingFailure` where it cannot be.
  @discardableResult
  func run() async throws -> Done {
    do {
      return try await stage()
    } catch let failure as StagingFailure {
      throw failure
    } catch let error as ObjectStoreError {
      if error.code == .notFound { throw StagingFailure.missing(key: error.key) }
      throw StagingFailure.store(error.description)
    } catch let error as SystemError where error.isOutOfSpace {
      throw StagingFailure.diskTooSmall(needed: asked, room: room(node.root))
    } catch {
      throw StagingFailure.failed("\(error)")
    }
  }

  private var asked: ByteCount {
    wishes.datasets.reduce(wishes.reserve + (wishes.resume?.order.total ?? .zero)) {
      $0 + $1.share(of: wishes.nodeCount)
    }
  }

  private func stage() async throws -> Done {
    var missing: [Missing] = []
    var there = ByteCount.zero
    for dataset in wishes.datasets {
      let name = wishes.name(dataset).folder
      if let manifest = try await present(dataset) {
        there = there + manifest.total
      } else {
        let plan = try await DatasetPlan.read(
          dataset, wishes.name(dataset), StoreReader(store: store), pieceSize: pieceSize)
        missing.append(Missing(name: name, order: dataset, plan: plan))
      }
    }
    let resume = try await resumePlan()
    try await makeRoom(missing, resume)
    let total = missing.reduce(ByteCount(resume?.total ?? 0)) { $0 + $1.plan.manifest.total }
    let meter = ProgressMeter(total: total) { [report] in
      report(.staging(done: $0.done, total: $0.total, rate: $0.rate, eta: $0.eta))
    }
    for one in missing { try await fetch(one, meter) }
    if let resume {
      let began = BootInstant.now()
      try await fetch(resume, meter)
      report(
        .restored(step: wishes.resume?.order.step ?? 0, bytes: ByteCount(resume.total), took: .now() - began))
    }
    try await Self.pool.run { try linkDatasets() }
    try await unpackCode()
    return Done(bytes: there + total, brought: meter.brought)
  }

  /// With several data sets, a folder with a link to each.
  private func linkDatasets() throws {
    guard let links = wishes.links, wishes.datasets.count > 1 else { return }
    try Disk.makeFolders(links)
    for dataset in wishes.datasets {
      let link = "\(links)/\(dataset.name.replacing("/", with: "_"))"
      try Disk.removeTree(link)
      let target = replicas.path(wishes.name(dataset).folder)
      if symlink(target, link) != 0 { throw SystemError("cannot link", link, errno: errno) }
    }
  }

  /// Reads the objects of a data set; what describes it, and what it is packed in, are in the order's store.
  private func reader(_ dataset: DatasetOrder) -> StoreReader {
    guard dataset.packKey == nil, let source = dataset.source else { return StoreReader(store: store) }
    return StoreReader(store: open(source.store))
  }

  // MARK: Room

  /// Evicts what nobody needs where there is too little room; `diskTooSmall` where even that is not enough.
  private func makeRoom(_ missing: [Missing], _ resume: TransferPlan?) async throws {
    try await Self.pool.run { try evict { needed(missing, resume) } }
  }

  private func needed(_ missing: [Missing], _ resume: TransferPlan?) -> ByteCount {
    var needed = wishes.reserve
    if let code = wishes.code {
      // Where the tar is kept the environment has a copy, too.
      for _ in 0..<(code.tar == nil ? 1 : 3) { needed = needed + code.order.bytes }
    }
    for one in missing {
      // What an earlier try brought has its room, and so has what another process brings now.
      let before = Disk.allocated(replicas.partial(one.name)) + Disk.allocated(replicas.path(one.name))
      needed = needed + (one.plan.manifest.total - before)
    }
    if let resume, let order = wishes.resume {
      needed = needed + (ByteCount(resume.total) - Disk.allocated(Self.partial(order)))
    }
    return needed
  }

  /// `wanted` is asked anew after each look at the disk: another process that brings the same makes both less.
  private func evict(until wanted: () -> ByteCount) throws {
    let before = room(node.root)
    guard wanted() > before else { return }
    try replicas.sweep()
    // What somebody stages, makes or begins to use at this moment stays, too.
    var spared = try replicas.inUse().union(wishes.datasets.map { wishes.name($0).folder })
    // One may free less than it is long, so it is looked again.
    while true {
      let room = self.room(node.root)
      let needed = wanted()
      guard needed > room else { return }
      let replicas = try self.replicas.all().filter { !wishes.pinned.contains($0.contentID) }
      let environments = try self.environments.all().filter { !$0.isInUse }
      let candidates = (replicas as [any Evictable] + environments).filter { !spared.contains($0.name) }
      guard let chosen = Eviction.choose(missing: needed - room, from: candidates), !chosen.isEmpty else {
        throw StagingFailure.diskTooSmall(needed: needed, room: room)
      }
      for one in chosen {
        spared.insert(one.name)
        let isGone =
          if let environment = one as? EnvironmentReport {
            try self.environments.remove(environment.key)
          } else {
            try self.replicas.remove(one.name)
          }
        if isGone { report(.evicted(replica: one.name, bytes: one.bytes)) }
      }
    }
  }

  // MARK: Data sets

  /// What is in a replica that is whole: by sizes where its marker is there, else by reading all of it.
  private func present(_ dataset: DatasetOrder) async throws -> Manifest? {
    let name = wishes.name(dataset)
    let path = replicas.path(name.folder)
    guard Disk.status(path)?.isFolder == true else { return nil }
    if let known = await vouched(name.folder) {
      try await Self.pool.run { try replicas.use(name.folder, known.total) }
      await offer(dataset, at: path)
      return known
    }
    guard Disk.status(replicas.marker(name.folder)) == nil else { return nil }
    let plan = try await DatasetPlan.read(dataset, name, StoreReader(store: store), pieceSize: pieceSize)
    let isWhole = await Self.pool.run {
      // What cannot be compared with bytes comes again.
      plan.manifest.entries.allSatisfy { entry in
        entry.checksum.isOfBytes
          && (try? entry.checksum.matches(file: "\(path)/\(entry.path)", size: entry.size)) == true
      }
    }
    guard isWhole else { return nil }
    try await Self.pool.run {
      try Disk.writeAtomically(try Codec.line(plan.manifest), to: replicas.marker(name.folder), mode: 0o644)
      try replicas.use(name.folder, plan.manifest.total)
    }
    serve(plan.transfer, at: path)
    return plan.manifest
  }

  /// What the marker of a replica vouches for; nil where there is none, or a file has not its size.
  private func vouched(_ name: String) async -> Manifest? {
    await Self.pool.run {
      guard let manifest = replicas.manifest(name),
        manifest.entries.allSatisfy({ Disk.status("\(replicas.path(name))/\($0.path)")?.size == $0.size })
      else { return nil }
      return manifest
    }
  }

  /// Hands the pieces of a replica that was here before to the other nodes; without the store's word there are none.
  private func offer(_ dataset: DatasetOrder, at path: String) async {
    guard exchange?.port != nil, dataset.mode != .shard,
      let plan = try? await DatasetPlan.read(
        dataset, wishes.name(dataset), StoreReader(store: store, tries: 1), pieceSize: pieceSize)
    else { return }
    serve(plan.transfer, at: path)
  }

  private func serve(_ plan: TransferPlan, at path: String) {
    exchange?.shelf(for: plan).opens(PartialFolder(path: path, plan: plan), pieces: Array(plan.pieces.indices))
  }

  /// Downloads a data set into its partial folder and publishes it; what an earlier try left there is used.
  ///
  /// Whoever brings the same to this node at this moment is waited for. What that one published is used, and what it left
  /// when it failed or died is gone on from.
  private func fetch(_ missing: Missing, _ meter: ProgressMeter) async throws {
    let name = missing.name
    let folder = PartialFolder(path: replicas.partial(name), plan: missing.plan.transfer)
    let final = replicas.path(name)
    let map = PieceMap(path: replicas.map(name), planID: folder.plan.id)
    let held = try await LockHolder.hold(replicas.lock(name)) {
      // Of a map that cannot be read nothing is told.
      let there = await Self.pool.run { try? map.glance()?.pieces }
      meter.awaits((there ?? []).reduce(0) { $0 + Int64(folder.plan.pieces[$1].bytes) })
    }
    defer { held.release() }
    meter.awaits(0)
    if let manifest = await vouched(name) {
      meter.found(manifest.total.bytes)
      try await Self.pool.run { try replicas.use(name, manifest.total) }
      if missing.order.mode != .shard { serve(missing.plan.transfer, at: final) }
      return
    }
    try await Self.pool.run {
      try replicas.use(name, missing.plan.manifest.total)
      try Disk.removeTree(replicas.marker(name))
      if Disk.status(final) != nil {
        // A damaged replica: what is good of it need not come again.
        try Disk.removeTree(folder.path)
        try Disk.removeTree(replicas.map(name))
        try Disk.move(final, to: folder.path)
      }
    }
    let order = missing.order
    let holders = order.mode == .copy ? exchange?.holders(of: order.contentID) : nil
    try await transfer(
      folder, map, reader(order), meter, sharing: order.mode == .shard ? nil : exchange,
      holders ?? .none)
    try await Self.pool.run {
      try folder.seal()
      try Disk.move(folder.path, to: final)
      try Disk.synchronize(folder: node.datasets)
      try Disk.writeAtomically(try Codec.line(missing.plan.manifest), to: replicas.marker(name), mode: 0o644)
      try Disk.removeTree(replicas.map(name))
    }
    if missing.order.mode != .shard { serve(missing.plan.transfer, at: final) }
  }

  private func transfer(
    _ folder: PartialFolder, _ map: PieceMap, _ reader: StoreReader, _ meter: ProgressMeter, sharing: Exchange?,
    _ holders: TransferHolders = .none
  ) async throws {
    var transfer = Transfer(
      folder: folder, map: map, reader: reader, exchange: sharing,
      holders: holders, limits: limits, meter: meter)
    transfer.distrusted = { [report] rank, reason in
      report(.peerDistrusted(nodeRank: rank, address: sharing?.address(rank) ?? "", reason: reason))
    }
    try await transfer.run()
  }

  // MARK: The checkpoint to resume from

  private static func partial(_ resume: (order: ResumeOrder, folder: String)) -> String {
    "\(resume.folder)/.partial-step-\(resume.order.step)"
  }

  /// What is to come of the checkpoint; nil where there is none to resume from.
  private func resumePlan() async throws -> TransferPlan? {
    guard let resume = wishes.resume?.order else { return nil }
    let key = ObjectLayout.manifest(checkpoint: resume.prefix)
    let bytes = try await StoreReader(store: store).whole(key)
    guard ContentHash.of(bytes) == resume.manifestSHA256, let manifest = try? CheckpointManifest(decoding: bytes) else {
      throw StagingFailure.corrupt(key: key)
    }
    return TransferPlan(
      manifest.files.files.map { file in
        TransferFile(
          path: file.path, size: file.size, checksum: file.checksum,
          sources: file.chunks.filter { $0.size > 0 }.map { TransferFile.Source(key: $0.key, size: $0.size) })
      }, pieceSize: pieceSize)
  }

  private func fetch(_ plan: TransferPlan, _ meter: ProgressMeter) async throws {
    guard let resume = wishes.resume else { return }
    let final = "\(resume.folder)/step-\(resume.order.step)"
    let folder = PartialFolder(path: Self.partial(resume), plan: plan)
    // Published by a supervisor that was killed later.
    if Disk.status(final)?.isFolder == true {
      meter.found(plan.total)
    } else {
      let map = PieceMap(path: folder.path + ".map", planID: plan.id)
      try await transfer(folder, map, StoreReader(store: store), meter, sharing: exchange)
      try await Self.pool.run {
        try Disk.move(folder.path, to: final)
        try Disk.synchronize(folder: resume.folder)
        try Disk.removeTree(map.path)
      }
    }
    serve(plan, at: final)
  }
}

// MARK: - The code

extension Stager {
  /// Makes the folder that ranks start in anew, from the tar that was captured; each byte of it is what was hashed then.
  fileprivate func unpackCode() async throws {
    guard let (code, folder, tar) = wishes.code else { return }
    let bytes = try await StoreReader(store: store).whole(code.key)
    guard CodeArchive.sha256(of: bytes) == code.sha256 else { throw StagingFailure.corrupt(key: code.key) }
    try await Transfer.pool.run {
      // What a supervisor before this one left, which started no rank.
      try Disk.removeTree(folder)
      do {
        try CodeArchive.write(try CodeArchive.files(of: bytes), to: folder)
      } catch let fault as CodeArchive.Fault {
        throw StagingFailure.failed("the captured code cannot be unpacked: \(fault)")
      }
      if !code.folder.isEmpty { try Disk.makeFolders("\(folder)/\(code.folder)") }
      if let tar { try Disk.writeAtomically(bytes, to: tar) }
    }
  }
}

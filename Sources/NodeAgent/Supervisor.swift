import CLinux
import Dispatch
import Domain
import Glibc
import ObjectStorage
import Wire

/// Carries one attempt on one node from its order to its end, with nobody to ask.
///
/// One thread owns all of it and waits in `poll`; whatever takes long (staging, uploads, the control socket) runs
/// elsewhere and posts messages. That thread lives as long as the process: the ranks die with it.
final class Supervisor {
  enum Message: Sendable {
    case stagingNews(AgentEvent)
    case staged(Result<Stager.Done, any Error>)
    case control(ControlCommand, ReplySlot)
    case mpi(MPIRequest, ReplySlot)
    case uploaded(LocalCheckpoint, CheckpointUpload.Outcome, took: TimeSpan)
    case recorded(String?)
    case artifactsKept(failure: String?)
    case storeWaits(reason: String)
    case copied(ProgramSaveKeeper.Copy, ProgramSaveState.Ending)
    case inventory(NodeEnvironment)
    case putBack(failure: String?)
  }

  /// Where the attempt stands; each goes only to one that is further down.
  enum Phase {
    /// Data come in.
    case staging
    /// All is there; somebody has to say when.
    case staged
    /// Ranks run.
    case running
    /// No rank runs; checkpoints are still to be stored.
    case saving
    /// Journal, metrics and logs go to the store, then artifacts.
    case recording
    /// All is done.
    case over
  }

  struct Rank {
    var rank: Int
    var pid: pid_t
    /// Whether it saves nothing, and never ends by itself.
    var serves = false
    var end: ProcessEnd?
    /// Whether it ended after it was told to.
    var wasTold = false
    /// What it said last, if it failed by itself.
    var lastWords: String?
    /// Until the first line was seen.
    var logWatch: Int32?
  }

  /// A process beside the ranks, which lives as long as they do.
  struct Helper {
    var name: String
    var pid: pid_t
    var ending: HelperLaunch.Ending
    /// How it ended; nil while it runs.
    var end: ProcessEnd?
    /// How it failed by itself; nil where it did not.
    var failure: NodeOutcome.HelperExit?
  }

  let order: AttemptOrder
  let node: NodeFolder
  let folder: AttemptFolder
  /// Replaced when the lease is extended: what was lent ends with it.
  var store: any ObjectStore
  let start = BootInstant.now()
  let mailbox: Mailbox<Message>
  let journal: Journal
  let signals: Descriptor
  let logs: FolderWatch
  /// What the supervisor before this one left; nil where there was none that had started ranks.
  let remains: Remains?

  var end: BootInstant { didSet { endGuard.moves(to: end) } }
  let endGuard: EndGuard
  var rule: LastSave
  /// The lead that the journal tells; nil before the ranks were started.
  var plannedLead: TimeSpan?
  var phase = Phase.staging
  var ranks: [Rank] = []
  var helpers: [Helper] = []
  var setup = SetupProgress.none
  var topology = TopologyProgress.none
  /// Set once the data are there.
  var stagedData: Stager.Done?
  /// Once ranks are to start that Open MPI has to ask for.
  var mpi: AwaitedRanks?
  /// How the daemon is started that it wants here; nil while none was wanted.
  var mpiDaemon: [String]?
  var outcome = NodeOutcome(stopped: nil, staging: nil, launchError: nil, exits: [])
  /// Set once SIGTERM was sent: since when, and whether the whole groups got it too.
  var terminated: (since: BootInstant, wasRepeated: Bool)?
  /// Set once the chief was gone, where there is one: since when.
  var released: BootInstant?
  /// Whether a rank or helper failed, here or on another node, before anyone was told to leave for another reason.
  var lostPeer = false
  /// No upload, no grace.
  var isKilled = false
  var local: LocalCheckpoints?
  /// Of a program that saves by its own rules.
  var keeper: ProgramSaveKeeper?
  /// Since when the ranks are to leave, told or not.
  var leavingSince: BootInstant?
  var queue: CheckpointQueue
  var upload: Task<Void, Never>?
  /// Of the upload under way.
  var limiter: UploadLimiter?
  var delays = StoreDelays()
  let base = CheckpointBase()
  var background: [Task<Void, Never>] = []
  /// Serves other nodes while the gang stages.
  var exchange: Exchange?
  /// Kept for the ranks until they start.
  var ports: FreePorts?
  var isRecording = false
  var isRecorded = false
  var artifacts = ArtifactProgress.notBegun
  /// When the checkpoint that is awaited was asked for.
  var askedAt: BootInstant?
  var saveTimes: [Int: TimeSpan] = [:]
  /// Of those that are not settled.
  var sizes: [Int: ByteCount] = [:]
  /// Steps that became complete after SIGTERM: what a program saves then is its last.
  var afterStop: Set<Int> = []
  var launchedAt: BootInstant?
  /// Until when ranks that have ended wait for what stands around them to be known; nil once it is.
  var inventoryUntil: BootInstant?
  var asked = 0
  /// When a rank of this node had said something.
  var firstLineAt: BootInstant?
  /// Stored or rejected on this disk; the newest two stay.
  var settled: [Int] = []

  /// Reads the order and opens the journal; `receivedAt` is when `start` had it in hand.
  init(node: NodeFolder, folder: AttemptFolder, receivedAt: BootInstant) throws {
    // Before anything that may start a thread: one that does not block them would take them, and nobody would know.
    signals = try Self.takeSignals()
    self.node = node
    self.folder = folder
    order = try Codec.decode(AttemptOrder.self, try Disk.readAll(folder.order))
    mailbox = try Mailbox()
    store = order.store.open(pacing: Self.pacing(telling: mailbox))
    end = receivedAt + order.leaseRemaining
    endGuard = try EndGuard(end: end)
    rule = LastSave(assumed: order.lastSaveLead, grace: order.grace, interval: order.checkpointEvery)
    // What a program saves by itself is the first node's alone.
    queue = CheckpointQueue(keepsAll: order.nodeAddresses.count > 1 && order.programSaves == nil)
    logs = try FolderWatch()
    if baton_become_subreaper() != 0 { throw SystemError("cannot adopt", "orphans", errno: errno) }
    for path in [folder.logs, folder.checkpoints, folder.resume, folder.artifacts, folder.work] {
      try Disk.makeFolders(path)
    }
    _ = try Disk.open(folder.metrics, O_WRONLY | O_CREAT)
    journal = try Journal(folder, start: start)
    let first = order.nodeRank * order.processesPerNode
    remains =
      JournalFile.wasLaunched(journal.history)
      ? Remains(of: journal.history, ranks: Array(first..<first + order.processesPerNode)) : nil
    try Disk.writeAtomically(try Codec.line(ProcessTable.current()), to: folder.pid)
    let mailbox = mailbox
    try ControlSocket.serve(folder) { request in
      if let refusal = Self.admit(request.controllerEpoch, node) { return .refused(refusal) }
      let slot = ReplySlot()
      mailbox.post(.control(request.command, slot))
      return slot.wait()
    }
    DispatchQueue(label: "baton.end").async { [endGuard] in endGuard.run() }
    try journal.append(.accepted(pid: getpid(), bootID: ProcessTable.bootID()))
  }

  /// Works until the attempt is over.
  ///
  /// Where ranks were started before, none is started again: what they left is stored, and that is all.
  func run() {
    if let remains {
      rescue(remains)
    } else {
      claimEnvironment()
      askTopology()
    }
    while true {
      advance()
      if case .over = phase { return }
      let descriptors = [
        signals.raw, mailbox.descriptor, logs.descriptor, local?.descriptor ?? -1, keeper?.descriptor ?? -1,
      ]
      let ready = waitReadable(descriptors, until: nextMoment())
      if ready[1] { for message in mailbox.take() { handle(message) } }
      if ready[2] { readFirstLines() }
      if ready[3] { readCheckpoints() }
      if ready[4] { keeper?.readNews(at: .now()) }
      if ready[0] { readSignals() }
      handleTime(.now())
    }
  }

  func note(_ event: AgentEvent) {
    do {
      try journal.append(event)
    } catch {
      complain("journal: \(error)")
    }
  }

  private func handle(_ message: Message) {
    switch message {
    case .stagingNews(let event):
      if case .staging = phase { note(event) }
    case .staged(let result):
      staged(result)
    case .control(let command, let slot):
      slot.answer(handle(command))
    case .mpi(let request, let slot):
      handle(request, slot)
    case .uploaded(let checkpoint, let outcome, let took):
      uploaded(checkpoint, outcome, took: took)
    case .recorded(let failure):
      if let failure { complain("record: \(failure)") }
      isRecorded = true
    case .artifactsKept(let failure):
      artifactsAreOver(failure)
    case .storeWaits(let reason):
      storeWaits(reason)
    case .copied(let copy, let ending):
      copied(copy, ending)
    case .inventory(let found):
      inventoryIsTaken(found)
    case .putBack(let failure):
      isPutBack(failure)
    }
  }

  /// What is due next, whatever it is.
  private func nextMoment() -> BootInstant {
    var moments = [end]
    if let next = keeper?.nextLook { moments.append(next) }
    switch phase {
    case .staging, .staged:
      moments.append(rule.stopAt(end: end))
      if let moment = topologyAwaitedUntil { moments.append(moment) }
    case .running where keeper?.isOver == true:
      break
    case .running:
      if let terminated {
        if !terminated.wasRepeated { moments.append(repeatAt(terminated.since)) }
        moments.append(killAt(terminated.since))
      } else if let released {
        moments.append(killAt(released))
      } else if let moment = saveAwaitedUntil {
        moments.append(moment)
      } else {
        moments.append(rule.stopAt(end: end))
        if let inventoryUntil, inventoryUntil > .now() { moments.append(inventoryUntil) }
        if let next = nextAsk { moments.append(next) }
        if let moment = fullSpeedAt { moments.append(moment) }
        if isAwaitingRanks, let mpi { moments.append(mpi.giveUpAt) }
      }
    case .saving:
      if !isRecording { moments.append(rule.recordAt(end: end)) }
    case .recording, .over:
      break
    }
    return moments.reduce(end, min)
  }

  private func handleTime(_ now: BootInstant) {
    if now >= end {
      hardEnd()
      return
    }
    if let moment = fullSpeedAt, now >= moment { limiter?.release() }
    if let next = keeper?.nextLook, now >= next { keeper?.look(at: now) }
    switch phase {
    case .staging, .staged:
      if now >= rule.stopAt(end: end) { stop(.leaseEnd) } else { giveUpTopology(now) }
    case .running where keeper?.isOver == true:
      break
    case .running:
      if let terminated {
        if now >= killAt(terminated.since) {
          killTree()
        } else if !terminated.wasRepeated, now >= repeatAt(terminated.since) {
          terminateGroups()
        }
      } else if let released {
        if now >= killAt(released) { killTree() }
      } else if let cause = outcome.stopped {
        stop(cause)
      } else if now >= rule.stopAt(end: end) {
        stop(.leaseEnd)
      } else if let next = nextAsk, now >= next {
        askOnSchedule(now)
      } else {
        giveUpAwaiting(now)
      }
    case .saving:
      if !isRecording, now >= rule.recordAt(end: end) { beginRecord() }
    case .recording, .over:
      break
    }
  }

  /// Goes on to the next phase where nothing is left to do in this one.
  private func advance() {
    beginUpload()
    if case .running = phase {
      if isChiefDone { release() }
      if isRunOver, !isTakingInventory, savesAreCopied() { ranksEnded() }
    }
    if case .saving = phase, queue.isEmpty {
      phase = .recording
      if !isRecording, !isKilled { beginRecord() }
    }
    if case .recording = phase, isKilled || isRecorded && artifactsAreKept() {
      phase = .over
      finish()
    }
  }

  private func ranksEnded() {
    limiter?.release()
    killTree()
    readCheckpoints()
    takeRest()
    if queue.closeUp(hasTimeForAnother: rule.hasTimeToUpload(from: .now(), end: end)) { upload?.cancel() }
    if isKilled { dropUploads() }
    phase = .saving
    beginUpload()
  }

  private func rescue(_ remains: Remains) {
    outcome = remains.outcome
    phase = .saving
    _ = queue.closeUp(hasTimeForAnother: true)
    do {
      let local = try LocalCheckpoints(folder, localRanks: localRanks)
      for finding in local.again(remains.steps) { take(finding) }
    } catch {
      complain("rescue: \(error)")
    }
  }

  func dropUploads() {
    upload?.cancel()
    queue = CheckpointQueue(keepsAll: false)
  }

  func beginRecord() {
    isRecording = true
    let record = RecordUpload(
      order: order, folder: folder, store: store, helpers: helpers.map(\.name) + (order.setup == nil ? [] : ["setup"]))
    let mailbox = mailbox
    background.append(Task.detached { mailbox.post(.recorded(await record.run())) })
  }

  /// The lease is over: nothing may run any more, finished or not.
  private func hardEnd() {
    let isEarly = ranks.isEmpty || ranks.contains { $0.end == nil } || endGuard.hasKilled
    if outcome.stopped == nil, remains == nil, isEarly { outcome.stopped = .leaseEnd }
    killTree()
    if case .running = phase { takeRest() }
    dropUploads()
    for task in background { task.cancel() }
    artifactsAreCutOff()
    phase = .over
    finish()
  }

  private func finish() {
    if remains == nil { outcome.exits = exits }
    if order.programSaves != nil { outcome.knowsNoCodes = true }
    let failures = helpers.compactMap(\.failure)
    outcome.helpers = failures.isEmpty ? nil : failures
    removeMPISession()
    note(.ended(outcome))
  }

  private var exits: [NodeOutcome.RankExit] {
    ranks.map { rank in
      switch rank.end {
      case .exited(let code):
        .init(rank: rank.rank, code: code, signal: nil, wasTold: rank.wasTold, lastWords: rank.lastWords)
      case .signalled(let signal):
        .init(rank: rank.rank, code: nil, signal: signal, wasTold: rank.wasTold, lastWords: rank.lastWords)
      case nil: .init(rank: rank.rank, code: nil, signal: SIGKILL, wasTold: true)
      }
    }
  }

  /// Brings the journal with its last entry into the store too, if there is time: it is in the record without it.
  func keepLastEntry() {
    guard !isKilled else { return }
    let record = RecordUpload(order: order, folder: folder, store: store)
    let limit = max(TimeSpan.zero, min(.seconds(2), end - .now()))
    let done = DispatchSemaphore(value: 0)
    Task.detached {
      if let failure = await record.journal() { complain("record: \(failure)") }
      done.signal()
    }
    if done.wait(timeout: .now() + limit.seconds) == .timedOut { complain("record: no time for the last entry") }
  }
}

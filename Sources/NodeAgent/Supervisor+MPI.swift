import Domain
import Glibc
import ObjectStorage
import Wire

/// Ranks that Open MPI has to ask for, since it alone knows what they need to find each other.
struct AwaitedRanks {
  /// So long may Open MPI take to ask for all of them.
  static let patience = TimeSpan.seconds(300)

  let session: MPISession
  let share: NodeShare
  let environment: RankEnvironment
  /// Those that it did not ask for yet.
  var launches: [Int: RankLaunch]
  /// Who stands for the others, to be answered when they end.
  var standIns: [Int: ReplySlot] = [:]
  let since = BootInstant.now()

  var giveUpAt: BootInstant { since + Self.patience }

  func variables(of helper: HelperLaunch) -> [String: String] {
    environment.variables(of: helper).merging(OpenMPI.daemonVariables(session: session.path)) { $1 }
  }
}

extension Supervisor {
  /// Whether ranks are still to be started, and nobody was told to leave.
  var isAwaitingRanks: Bool { terminated == nil && !isKilled && mpi.map { !$0.launches.isEmpty } ?? false }

  /// Opens the way for Open MPI to ask for ranks.
  func awaitRanks(_ launches: [RankLaunch], on share: NodeShare, _ environment: RankEnvironment) throws {
    let session = MPISession(of: folder)
    try session.make(for: folder)
    mpi = AwaitedRanks(
      session: session, share: share, environment: environment,
      launches: Dictionary(launches.map { ($0.rank, $0) }) { $1 })
    let mailbox = mailbox
    try MPISocket.serve(folder) { request in
      let slot = ReplySlot()
      mailbox.post(.mpi(request, slot))
      return slot.waitAsLongAsItTakes()
    }
  }

  /// Starts the daemon that was asked for before the ranks were to start.
  func startAskedDaemon() throws {
    if let command = mpiDaemon { try startDaemon(command) }
  }

  /// Takes what the controller passes on from `mpirun` on another node.
  func startMPIDaemon(_ command: [String]) -> AgentReply {
    guard order.launcher.kind == .mpi, let program = command.first, OpenMPI.isDaemon(program) else {
      return .refused("this job needs no daemon '\(command.first ?? "")'")
    }
    guard mpiDaemon == nil else { return .ok }
    switch phase {
    case .staging: return .refused("not everything is staged yet: wait for the journal's 'staged'")
    case .staged: mpiDaemon = command
    case .running:
      mpiDaemon = command
      do { try startDaemon(command) } catch { failToLaunch("\(error)") }
    default: break
    }
    return .ok
  }

  private func startDaemon(_ command: [String]) throws {
    guard let mpi, terminated == nil else { return }
    let launch = order.launcher.mpiDaemon(command, on: mpi.share)
    helpers.append(
      Helper(name: launch.name, pid: try startHelper(launch, mpi.variables(of: launch)), ending: launch.ending))
  }

  /// Takes what Open MPI's processes on this node ask for.
  func handle(_ request: MPIRequest, _ slot: ReplySlot) {
    switch request {
    case .daemon(let host, let text): slot.answer(daemonWanted(at: host, text))
    case .rank(let rank, let variables): startRank(rank, variables, slot)
    }
  }

  private func daemonWanted(at host: String, _ shellText: String) -> AgentReply {
    guard let command = OpenMPI.daemonCommand(shellText) else {
      return .refused("there is no daemon of Open MPI in: \(shellText)")
    }
    guard let rank = order.nodeAddresses.firstIndex(where: { $0 == host || $0.hasPrefix(host + ".") }) else {
      return .refused("\(host) is no node of this job")
    }
    if rank == order.nodeRank { return startMPIDaemon(command) }
    note(.mpiDaemonWanted(nodeRank: rank, command: command))
    return .ok
  }

  private func startRank(_ rank: Int, _ variables: [String: String], _ slot: ReplySlot) {
    guard case .running = phase, isAwaitingRanks, let launch = mpi?.launches.removeValue(forKey: rank), let mpi else {
      // A rank of another node: Open MPI was told another order of ranks than Baton's.
      if isAwaitingRanks, !localRanks.contains(rank) {
        failToLaunch("Open MPI wants rank \(rank) here: leave the order of ranks to Baton")
      }
      return slot.answer(.refused("rank \(rank) is not to be started here now"))
    }
    self.mpi?.standIns[rank] = slot
    do {
      let own = mpi.environment.variables(of: launch)
        .merging(OpenMPI.rankVariables(session: mpi.session.path)) { $1 }
      // What is told to a rank of this node holds, also where Open MPI hands on what mpirun was told on another.
      ranks.append(try start(rank, own.merging(variables) { ours, _ in ours }))
      ranks.sort { $0.rank < $1.rank }
      if mpi.launches.isEmpty { ranksStarted() }
    } catch {
      failToLaunch("\(error)")
    }
  }

  /// Lets Open MPI know that a rank ended, where that ends nothing else.
  func answerStandIn(of rank: Rank) {
    let isWell = rank.wasTold || [.exited(0), .exited(75), .exited(85), .exited(99)].contains(rank.end)
    if isWell { mpi?.standIns.removeValue(forKey: rank.rank)?.answer(.ok) }
  }

  /// Gives up where Open MPI does not come to ask for all ranks.
  func giveUpAwaiting(_ now: BootInstant) {
    guard isAwaitingRanks, let mpi, now >= mpi.giveUpAt else { return }
    let missing = mpi.launches.keys.sorted().map(String.init).joined(separator: ", ")
    let said = LastWords.read(folder.log(helper: "mpirun")).map { "; mpirun said last: \($0)" } ?? ""
    failToLaunch(
      "Open MPI did not start rank \(missing) within \(AwaitedRanks.patience): can the nodes reach each other on any port?"
        + said)
  }

  /// Nothing of a job runs that cannot be started as a whole.
  func failToLaunch(_ why: String) {
    outcome.launchError = why
    killTree()
    phase = .saving
  }

  func removeMPISession() {
    guard let mpi else { return }
    do { try mpi.session.remove() } catch { complain("mpi: \(error)") }
  }
}

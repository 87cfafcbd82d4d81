import CLinux
import Domain
import Glibc
import ObjectStorage
import Wire

extension Supervisor {
  /// Blocks the signals that the main thread reads from a descriptor; before any other thread exists.
  static func takeSignals() throws(SystemError) -> Descriptor {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in [SIGCHLD, SIGTERM, SIGINT, SIGHUP] { sigaddset(&set, signal) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
    let raw = signalfd(-1, &set, Int32(O_CLOEXEC | O_NONBLOCK))
    if raw < 0 { throw SystemError("cannot make", "a signalfd", errno: errno) }
    return Descriptor(owning: raw)
  }

  func readSignals() {
    var info = signalfd_siginfo()
    while read(signals.raw, &info, MemoryLayout<signalfd_siginfo>.size) > 0 {
      // The node shuts down: for the job this is the end of its lease.
      if info.ssi_signo == UInt32(SIGTERM) || info.ssi_signo == UInt32(SIGINT) { stop(.leaseEnd) }
    }
    reap()
  }

  /// Starts every rank of this node; none stays where one cannot be started.
  func launch(masterPort: Int, rankPorts: [Int]) {
    do {
      local = try LocalCheckpoints(folder, localRanks: localRanks)
      try watchProgramSaves()
      try Disk.writeAtomically(
        Array(order.nodeAddresses.map { $0 + "\n" }.joined().utf8), to: folder.nodeFile, mode: 0o644)
      let rendezvous = Rendezvous(
        attempt: order.attempt, nodeAddresses: order.nodeAddresses, masterPort: masterPort, rankPorts: rankPorts)
      let share = share()
      let launches = try order.launcher.launches(on: share, rendezvous)
      let helperLaunches = try order.launcher.helpers(on: share, rendezvous)
      let environment = RankEnvironment(
        order: order, folder: folder,
        datasets: order.datasets.map { dataset in
          let name = ReplicaName(dataset, rank: order.nodeRank, count: order.nodeAddresses.count)
          return (dataset.name, node.replica(name.folder))
        }, base: Self.ownEnvironment(), environment: try madeEnvironment())
      phase = .running
      // Every node is staged: nobody asks for anything any more.
      exchange?.close()
      ports?.release()
      let isMPI = order.launcher.kind == .mpi
      if isMPI { try awaitRanks(launches, on: share, environment) }
      for one in helperLaunches {
        let variables = mpi?.variables(of: one) ?? environment.variables(of: one)
        helpers.append(Helper(name: one.name, pid: try startHelper(one, variables), ending: one.ending))
      }
      if isMPI {
        if let first = launches.first { beginInventory(environment.variables(of: first)) }
        return try startAskedDaemon()
      }
      for one in launches { ranks.append(try start(one.rank, environment.variables(of: one))) }
      ranksStarted()
      if let first = launches.first { beginInventory(environment.variables(of: first)) }
    } catch {
      failToLaunch("\(error)")
    }
  }

  /// All ranks of this node run.
  func ranksStarted() {
    launchedAt = .now()
    note(.launched(pids: ranks.map(\.pid)))
    tellPlan()
    readFirstLines()
  }

  private func share() -> NodeShare {
    let address = order.nodeAddresses[order.nodeRank]
    let interface = NetworkInterfaces.reached(at: address)
    if interface == nil { complain("no network interface has \(address): libraries choose theirs by themselves") }
    return NodeShare(
      nodeRank: order.nodeRank, gpus: order.gpus, cores: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))),
      interface: interface, topology: topology.found)
  }

  var localRanks: [Int] { (0..<order.processesPerNode).map { order.nodeRank * order.processesPerNode + $0 } }

  static func ownEnvironment() -> [String: String] {
    var found: [String: String] = [:]
    for name in ["PATH", "HOME", "LANG", "USER"] {
      if let value = getenv(name) { found[name] = String(cString: value) }
    }
    return found
  }

  func start(_ rank: Int, _ variables: [String: String]) throws -> Rank {
    _ = try Disk.open(folder.log(rank: rank), O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
    let watch = try logs.add(folder.log(rank: rank), Int32(IN_MODIFY))
    let pid = try startProgram(command(of: rank, variables), variables, output: folder.log(rank: rank))
    return Rank(rank: rank, pid: pid, serves: order.launcher.serves(rank: rank), end: nil, logWatch: watch)
  }

  func startHelper(_ helper: HelperLaunch, _ variables: [String: String]) throws -> pid_t {
    let log = folder.log(helper: helper.name)
    _ = try Disk.open(log, O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
    return try startProgram(helper.command, variables, output: log)
  }

  /// Starts `command`, or where that is nil the job's own, in `place`, or where that is nil where ranks start.
  func startProgram(
    _ command: [String]?, _ variables: [String: String], in place: String? = nil, output: String
  ) throws -> pid_t {
    let command = try command ?? commandWords().map { RankEnvironment.expand($0, with: variables) }
    let program = try RankEnvironment.findProgram(
      command.first ?? "", path: variables["PATH"] ?? "", work: workFolder
    ).get()
    var ends: [Int32] = [0, 0]
    if pipe2(&ends, O_CLOEXEC) != 0 { throw SystemError("cannot make", "a pipe", errno: errno) }
    let reader = Descriptor(owning: ends[0])
    let writer = ends[1]
    let spawn = Spawn(
      program: "/proc/self/exe", arguments: ["baton-agent", "exec-rank", "\(getpid())", program] + command,
      environment: variables, folder: place ?? workFolder, output: output, extra: writer)
    let result = Result { () throws(SystemError) in try spawn.start() }
    close(writer)
    let pid = try result.get()
    var code: Int32 = 0
    let count = withUnsafeMutableBytes(of: &code) { read(reader.raw, $0.baseAddress, $0.count) }
    if count > 0 {
      throw LaunchFailure(
        "\(program) cannot be executed: \(String(cString: strerror(code)))"
          + (code == ENOEXEC ? "; a script needs #! and an interpreter in its first line" : ""))
    }
    return pid
  }

  /// Collects all processes that ended; the first that failed takes the others with it.
  private func reap() {
    guard collect(), terminated == nil, released == nil, !endGuard.hasKilled, isAnyLeft else { return }
    // Half a gang would wait for the other half until the lease ends.
    note(.stopping(.gangFailed))
    lostPeer = true
    // Who only serves has nothing to save: the gang is to hear of it at once.
    if ranks.allSatisfy(\.serves) { release() } else { terminate() }
  }

  /// Collects all processes that ended, ranks, helpers and their orphans; true where a rank or helper failed.
  private func collect() -> Bool {
    var status: Int32 = 0
    var anyFailed = false
    while true {
      let pid = waitpid(-1, &status, WNOHANG)
      if pid <= 0 { return anyFailed }
      let end = ProcessEnd(status: status)
      setupEnded(pid, end)
      topologyEnded(pid, end)
      if let index = helpers.firstIndex(where: { $0.pid == pid && $0.end == nil }) {
        helperEnded(index, end)
        anyFailed = anyFailed || end != .exited(0)
      }
      guard let index = ranks.firstIndex(where: { $0.pid == pid && $0.end == nil }) else { continue }
      ranks[index].end = end
      ranks[index].wasTold = terminated != nil || released != nil || isKilled || endGuard.hasKilled
      anyFailed = anyFailed || end != .exited(0)
      if end != .exited(0), !ranks[index].wasTold {
        ranks[index].lastWords = LastWords.read(folder.log(rank: ranks[index].rank))
      }
      answerStandIn(of: ranks[index])
      readFirstLines()
      switch end {
      case .exited(let code): note(.rankEnded(rank: ranks[index].rank, code: code, signal: nil))
      case .signalled(let signal): note(.rankEnded(rank: ranks[index].rank, code: nil, signal: signal))
      }
    }
  }

  /// Notes how a helper ended; where Baton did not end it, that is a failure, and told with the outcome.
  private func helperEnded(_ index: Int, _ end: ProcessEnd) {
    let name = helpers[index].name
    helpers[index].end = end
    var code: Int32?
    var signal: Int32?
    switch end {
    case .exited(let value): code = value
    case .signalled(let value): signal = value
    }
    note(.helperEnded(name: name, code: code, signal: signal))
    guard end != .exited(0), terminated == nil, released == nil, !isKilled, BootInstant.now() < self.end else { return }
    if isAwaitingRanks, outcome.launchError == nil {
      let words = LastWords.read(folder.log(helper: name)).map { ": \($0)" } ?? ""
      outcome.launchError = "Open MPI could not start the ranks, its \(name) ended\(words)"
    }
    helpers[index].failure = .init(
      name: name, code: code, signal: signal, lastWords: LastWords.read(folder.log(helper: name)))
  }

  /// Asks every rank's tree to leave, but for those that serve: they may be needed until the others have.
  func terminate() {
    guard terminated == nil else { return }
    let now = BootInstant.now()
    terminated = (now, false)
    limiter?.release()
    // What a program without the contract saves then, it was not asked for.
    if order.programSaves == nil { askedAt = askedAt ?? now }
    for rank in ranks where rank.end == nil && !rank.serves { Self.tellToLeave(top(of: rank)) }
  }

  /// Those that handle SIGTERM may be wrappers that wait for a program which heard nothing yet.
  func terminateGroups() {
    guard let since = terminated?.since else { return }
    terminated = (since, true)
    for rank in ranks where rank.end == nil && !rank.serves { kill(-rank.pid, SIGTERM) }
  }

  func repeatAt(_ since: BootInstant) -> BootInstant {
    since + TimeSpan(microseconds: (killAt(since) - since).microseconds / 2)
  }

  func killAt(_ since: BootInstant) -> BootInstant {
    rule.killAt(stoppedAt: since, end: end, afterFailure: lostPeer)
  }

  /// Kills everything below this process until nothing is left: also what left its session and its parent.
  func killTree() {
    let limit = BootInstant.now() + .seconds(10)
    while BootInstant.now() < limit {
      _ = collect()
      let left = ProcessTable.descendants(of: getpid())
      if left.isEmpty { break }
      for pid in left { kill(pid, SIGKILL) }
      // Woken by SIGCHLD, or soon enough where the last one was not a child of this process yet.
      _ = waitReadable([signals.raw], until: .now() + TimeSpan(microseconds: 20_000))
      var info = signalfd_siginfo()
      while read(signals.raw, &info, MemoryLayout<signalfd_siginfo>.size) > 0 {}
    }
    _ = collect()
  }

  /// Looks for the first line in the logs that had none.
  func readFirstLines() {
    _ = logs.changes()
    for index in ranks.indices {
      guard let watch = ranks[index].logWatch else { continue }
      let path = folder.log(rank: ranks[index].rank)
      guard let file = try? Disk.open(path, O_RDONLY),
        let head = try? Disk.read(file, at: 0, limit: 1 << 16, path: path),
        head.contains(UInt8(ascii: "\n")) || head.count == 1 << 16
      else { continue }
      logs.remove(watch)
      ranks[index].logWatch = nil
      firstLineAt = firstLineAt ?? .now()
      note(.firstLine(rank: ranks[index].rank))
    }
  }
}

import Domain
import Glibc
import ObjectStorage
import Wire

/// Programs that save by their own rules.
extension Supervisor {
  /// Begins to watch what the program saves; only the first node does, where rank 0 runs.
  func watchProgramSaves() throws {
    guard let saves = order.programSaves, order.nodeRank == 0 else { return }
    let mailbox = mailbox
    keeper = try ProgramSaveKeeper(saves, folder, work: workFolder, resumedFrom: order.resume?.step) {
      mailbox.post(.copied($0, $1))
    }
  }

  /// Puts what is resumed from where the program looks for it; before the ranks start, on every node.
  static func putBack(_ order: AttemptOrder, _ folder: AttemptFolder) async throws {
    guard let saves = order.programSaves, let resume = order.resume else { return }
    let work = folder.work(of: order)
    let target = saves.folder.isEmpty ? work : "\(work)/\(saves.folder)"
    try await Transfer.pool.run { try StableCopy.putAll(of: "\(folder.resume)/step-\(resume.step)", into: target) }
  }

  /// The words of the program's command in this attempt, with variables that are still to be replaced.
  func commandWords() throws -> [String] {
    guard let resume = order.resume, let command = order.resumeCommand else { return order.command }
    var checkpoint = "\(folder.resume)/step-\(resume.step)"
    if let saves = order.programSaves {
      // Under the name that the program gave it, which is all there is in the folder.
      guard let name = try Disk.names(in: checkpoint).first else { throw LaunchFailure("\(checkpoint) is empty") }
      checkpoint = [workFolder, saves.folder, name].filter { !$0.isEmpty }.joined(separator: "/")
    }
    return command.words(after: order.command, checkpoint: checkpoint, step: resume.step)
  }

  func copied(_ copy: ProgramSaveKeeper.Copy, _ ending: ProgramSaveState.Ending) {
    if case .failed(let reason) = ending {
      note(.checkpointRejected(step: copy.step, reason: "\(copy.name) could not be copied: \(reason)"))
    }
    keeper?.copied(copy, ending, at: .now())
  }

  /// Until when the ranks are not told that the lease ends, for what they are saving; nil where nothing is to be waited for.
  var saveAwaitedUntil: BootInstant? {
    guard let keeper, keeper.isBusy, !keeper.isOver, let leavingSince, terminated == nil,
      outcome.stopped == .leaseEnd
    else { return nil }
    let most = min(order.grace, TimeSpan(microseconds: max(.zero, end - leavingSince).microseconds / 2))
    let until = leavingSince + most
    return until > .now() ? until : nil
  }

  /// Whether all that the program saved by itself is copied, now that none of its ranks runs; begins the last copies.
  func savesAreCopied() -> Bool {
    guard let keeper, !isKilled else { return true }
    if !keeper.isOver {
      killTree()
      let wasClean = ranks.allSatisfy { [.exited(0), .exited(85), .exited(99)].contains($0.end) }
      keeper.isOver(wasClean: wasClean, at: .now())
    }
    return keeper.isIdle
  }
}

extension SaveSignal {
  /// Its number; nil for none.
  var number: Int32? {
    switch self {
    case .usr1: SIGUSR1
    case .usr2: SIGUSR2
    case .hup: SIGHUP
    case .none: nil
    }
  }
}

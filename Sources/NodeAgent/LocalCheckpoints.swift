import Domain
import Glibc
import ObjectStorage

/// A checkpoint on this node's disk that is to be stored.
struct LocalCheckpoint: Hashable, Sendable {
  var step: Int
  var layout: CheckpointLayout
  /// Global ranks whose folders are in it; for a whole one, those of the node.
  var ranks: [Int]
}

/// Finds checkpoints in the folder that the ranks write to: only a rename makes one.
final class LocalCheckpoints {
  enum Finding: Hashable {
    case complete(LocalCheckpoint)
    case useless(step: Int, reason: String)
  }

  private let folder: AttemptFolder
  private let watch: FolderWatch
  private let top: Int32
  private let localRanks: [Int]
  /// Folders `step-N` that were made, not renamed: ranks write their parts into them.
  private var open: [Int32: Int] = [:]
  private var known: Set<Int> = []
  /// Folders in `open` that may as well have been renamed, and since when they are as they are.
  private var quiet: [Int: (look: ProgramSaveState.Look, since: BootInstant)] = [:]
  private static let quietFor = TimeSpan.seconds(1)
  /// More than a tick of the clock that files are stamped by.
  private static let tick: Int64 = 20_000_000

  init(_ folder: AttemptFolder, localRanks: [Int]) throws(SystemError) {
    self.folder = folder
    self.localRanks = localRanks
    watch = try FolderWatch()
    top = try watch.add(folder.checkpoints, Int32(IN_MOVED_TO), Int32(IN_CREATE), Int32(bitPattern: UInt32(IN_ONLYDIR)))
  }

  var descriptor: Int32 { watch.descriptor }

  /// What has become complete since the last call.
  func poll() -> [Finding] {
    var findings: [Finding] = []
    for change in watch.changes() {
      if change.mask & UInt32(IN_Q_OVERFLOW) != 0 {
        findings += lookAgain()
      } else if change.watch == top {
        guard let step = Self.step(change.name) else { continue }
        if change.mask & UInt32(IN_MOVED_TO) != 0 {
          if let finding = renamed(step) { findings.append(finding) }
        } else if let finding = made(step) {
          findings.append(finding)
        }
      } else if let step = open[change.watch], let finding = parts(step) {
        watch.remove(change.watch)
        open[change.watch] = nil
        findings.append(finding)
      }
    }
    if watch.looksForItself { findings += renamedWithinATick(isOver: false) }
    return findings
  }

  /// Whole checkpoints that nobody saw renamed, so soon after they were written that their times do not tell either.
  ///
  /// Such a folder has been quiet for a while, and all that is in it is as old as the folder: who makes `step-N` with
  /// mkdir, against the contract, and then writes is not taken for one who renamed.
  ///
  /// - Parameter isOver: nobody writes any more, and nobody was in the middle of it.
  private func renamedWithinATick(isOver: Bool) -> [Finding] {
    var findings: [Finding] = []
    for (number, step) in open.sorted(by: { $0.value < $1.value }) where !known.contains(step) {
      let path = folder.checkpoint(step: step)
      guard let status = Disk.status(path), let look = ProgramSaveWatch.look(at: path), !look.files.isEmpty,
        !look.files.keys.contains(where: { $0.hasPrefix("rank-") }),
        look.files.values.allSatisfy({ Self.written($0) - status.written <= Self.tick })
      else { continue }
      if !isOver {
        guard let before = quiet[step], before.look == look else {
          quiet[step] = (look, .now())
          continue
        }
        guard BootInstant.now() - before.since >= Self.quietFor else { continue }
      }
      watch.remove(number)
      open[number] = nil
      quiet[step] = nil
      if let finding = renamed(step) { findings.append(finding) }
    }
    return findings
  }

  /// When a file of a `Look` was written, in nanoseconds.
  private static func written(_ stamp: [Int64]) -> Int64 { stamp[2] * 1_000_000_000 + stamp[3] }

  /// When nobody writes any more: what is complete after all, and steps that never became complete, with the reason.
  ///
  /// - Parameters:
  ///   - wasKilled: whether the ranks did not leave by themselves.
  ///   - endedWell: whether all ranks said that they had done what they were to do.
  func rest(wasKilled: Bool, endedWell: Bool) -> [Finding] {
    let late = watch.looksForItself && endedWell ? renamedWithinATick(isOver: true) : []
    return late + halfMade() + halfWritten(wasKilled)
  }

  /// The newest `step-N.tmp`, where that is newer than all that is complete: what was being saved at the end.
  private func halfWritten(_ wasKilled: Bool) -> [Finding] {
    let names = (try? Disk.names(in: folder.checkpoints)) ?? []
    let steps = names.filter { $0.hasSuffix(".tmp") }.compactMap { Self.step(String($0.dropLast(4))) }
    guard let step = steps.max(), step > known.max() ?? -1 else { return [] }
    // A disk that does not tell its room is not called full.
    let free = (try? Disk.room(at: folder.checkpoints)).map { ByteCount($0.free) }
    let cause = Self.cause(free: free, wasKilled: wasKilled)
    return [.useless(step: step, reason: "\(cause) before it was complete: step-\(step).tmp was never renamed")]
  }

  /// A disk that has less room than this is full: 1 MiB of it may be the journal's ballast, given up a moment ago.
  static let full = ByteCount.mebibytes(4)

  /// What kept a program from finishing what it saved; a full disk fails programs, and makes them hang until they are
  /// killed.
  static func cause(free: ByteCount?, wasKilled: Bool) -> String {
    if let free, free < full { return "the disk was full (room for \(free))" }
    return wasKilled ? "no time was left" : "the program ended"
  }

  private func halfMade() -> [Finding] {
    open.values.sorted().compactMap { step in
      guard !known.contains(step) else { return nil }
      let names = (try? Disk.names(in: folder.checkpoint(step: step))) ?? []
      if names.isEmpty { return .useless(step: step, reason: "the folder is empty") }
      let missing = localRanks.filter { !names.contains("rank-\($0)") }.map { "rank-\($0)" }.joined(separator: ", ")
      if missing.count == 0 { return nil }
      return .useless(
        step: step, reason: "it was made with mkdir, not by renaming step-\(step).tmp, and has no part of \(missing)")
    }
  }

  /// What is left of `steps`, which a supervisor before this one found complete.
  func again(_ steps: [Int]) -> [Finding] {
    steps.filter { Disk.status(folder.checkpoint(step: $0)) != nil }.compactMap { renamed($0) }
  }

  /// `step-N`, N a number as it is usually written; nil for all else, `.tmp` too.
  static func step(_ name: String) -> Int? {
    guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)), step >= 0, name == "step-\(step)" else {
      return nil
    }
    return step
  }

  private func renamed(_ step: Int) -> Finding? {
    known.insert(step)
    let path = folder.checkpoint(step: step)
    guard Disk.status(path)?.isFolder == true else {
      return .useless(step: step, reason: "it is not a folder, or was removed at once")
    }
    let names = (try? Disk.names(in: path)) ?? []
    if names.isEmpty { return .useless(step: step, reason: "the folder is empty") }
    let settled = names.filter { !$0.hasSuffix(".tmp") }
    if !settled.isEmpty, settled.allSatisfy({ Self.rank($0) != nil }) {
      return parts(step) ?? .useless(step: step, reason: "the part of a rank of this node is missing")
    }
    return .complete(LocalCheckpoint(step: step, layout: .whole, ranks: localRanks))
  }

  private func made(_ step: Int) -> Finding? {
    known.remove(step)
    do {
      let descriptor = try watch.add(
        folder.checkpoint(step: step), Int32(IN_MOVED_TO), Int32(bitPattern: UInt32(IN_ONLYDIR)))
      open[descriptor] = step
    } catch {
      // Renamed away, or removed, in the meantime: there is nothing to watch.
      return nil
    }
    return parts(step)
  }

  /// Complete where every local rank's part is there.
  private func parts(_ step: Int) -> Finding? {
    guard let names = try? Disk.names(in: folder.checkpoint(step: step)) else { return nil }
    let ranks = Set(names.compactMap(Self.rank))
    guard ranks.isSuperset(of: localRanks) else { return nil }
    guard !(known.contains(step) && open.values.contains(step)) else { return nil }
    known.insert(step)
    if let foreign = ranks.subtracting(localRanks).min() {
      return .useless(step: step, reason: "it has a part of rank \(foreign), which does not run on this node")
    }
    if let other = names.filter({ Self.rank($0) == nil && !$0.hasSuffix(".tmp") }).min() {
      return .useless(step: step, reason: "it has \(other) beside the parts of the ranks, which nobody renamed")
    }
    return .complete(LocalCheckpoint(step: step, layout: .sharded, ranks: localRanks))
  }

  /// All that may have become complete while nobody told.
  private func lookAgain() -> [Finding] {
    let steps = ((try? Disk.names(in: folder.checkpoints)) ?? []).compactMap(Self.step).filter { !known.contains($0) }
    return steps.sorted().compactMap { step in
      if open.values.contains(step) { return parts(step) }
      let isRenamed = Disk.status(folder.checkpoint(step: step))?.wasRenamedSinceWritten ?? false
      return isRenamed ? renamed(step) : made(step)
    }
  }

  private static func rank(_ name: String) -> Int? {
    guard name.hasPrefix("rank-"), let rank = Int(name.dropFirst(5)), rank >= 0, name == "rank-\(rank)" else {
      return nil
    }
    return rank
  }
}

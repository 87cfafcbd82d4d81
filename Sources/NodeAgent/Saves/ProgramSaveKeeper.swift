import Dispatch
import Domain
import Glibc
import ObjectStorage

/// Makes a checkpoint of Baton's kind (`step-N`, by a rename) of whatever a program that knows nothing of Baton saves.
///
/// Belongs to the supervisor's main thread; only copying runs elsewhere, one thing after the other.
final class ProgramSaveKeeper {
  /// A copy under way.
  struct Copy: Hashable, Sendable {
    var name: String
    var step: Int
    var seen: ProgramSaveState.Look
  }

  /// Copies one after the other, in the order in which they are begun: the last one to come to its end is the newest.
  private static let copies = DispatchQueue(label: "baton.saves")

  private let saves: ProgramSaves
  private let folder: AttemptFolder
  private let watch: ProgramSaveWatch
  private var state: ProgramSaveState
  private var steps: ProgramSaveSteps
  /// When to look because of what was heard; nil where nothing was.
  private var newsLook: BootInstant?
  /// Told when a copy has come to its end, on any thread.
  private let ended: @Sendable (Copy, ProgramSaveState.Ending) -> Void
  /// Whether no rank runs any more.
  private(set) var isOver = false

  /// Watches what is saved from now on below the folder `work`; what lies there was put back, and is no news.
  init(
    _ saves: ProgramSaves, _ folder: AttemptFolder, work: String, resumedFrom step: Int?,
    ended: @escaping @Sendable (Copy, ProgramSaveState.Ending) -> Void
  ) throws(SystemError) {
    self.saves = saves
    self.folder = folder
    self.ended = ended
    watch = try ProgramSaveWatch(saves, work: work)
    state = ProgramSaveState(before: watch.look())
    steps = ProgramSaveSteps(resumedFrom: step)
  }

  /// Readable while there is news.
  var descriptor: Int32 { watch.descriptor }

  /// When `look` is due; nil while nothing changes.
  var nextLook: BootInstant? { [state.nextLook, newsLook].compactMap(\.self).min() }

  /// Whether something is being saved or copied.
  var isBusy: Bool { state.isBusy || newsLook != nil }

  /// Whether nothing is being copied.
  var isIdle: Bool { state.isIdle }

  /// Takes in what was heard: some things may have come to their ends at once.
  func readNews(at now: BootInstant) {
    guard let renamed = watch.news() else { return }
    for name in renamed { state.wasRenamed(name) }
    // A program that writes a thousand files a second is not looked at a thousand times.
    newsLook = newsLook ?? now + TimeSpan(microseconds: 100_000)
  }

  /// Looks, and has copied what is complete.
  func look(at now: BootInstant) {
    newsLook = nil
    let complete = state.saw(watch.look(), at: now)
    let ordered = complete.map { (name: $0.key, look: $0.value, step: saves.pattern.match($0.key)?.step) }
      .sorted { ($0.step ?? 0, $0.name) < ($1.step ?? 0, $1.name) }
    for (name, look, told) in ordered {
      guard let step = steps.number(told: told, measured: told == nil ? measuredStep() : nil) else {
        state.copied(name, .failed("it was saved before, or a later one"), at: now)
        continue
      }
      begin(Copy(name: name, step: step, seen: look))
    }
  }

  private func begin(_ copy: Copy) {
    let source = "\(watch.folder)/\(copy.name)"
    let target = folder.checkpoint(step: copy.step)
    Self.copies.async { [ended] in
      ended(copy, StableCopy.take(source, name: copy.name, seen: copy.seen, into: target))
    }
  }

  /// Notes what came of a copy, and looks again: the next one may be complete by now.
  func copied(_ copy: Copy, _ ending: ProgramSaveState.Ending, at now: BootInstant) {
    state.copied(copy.name, ending, at: now)
    if ending != .done { steps.isFree(copy.step) }
    look(at: now)
  }

  /// The program is about to be told to leave.
  func leaves(at now: BootInstant) {
    readNews(at: now)
    state.leaves()
    look(at: now)
  }

  /// No rank runs any more; `wasClean` where every one left by itself, and not by failing.
  func isOver(wasClean: Bool, at now: BootInstant) {
    readNews(at: now)
    isOver = true
    state.isOver(wasClean: wasClean)
    look(at: now)
  }

  /// The step of the last line of metrics; nil where there is none.
  private func measuredStep() -> Int? {
    struct Line: Decodable { var step: Int }
    guard let size = Disk.status(folder.metrics)?.size, size > 0,
      let file = try? Disk.open(folder.metrics, O_RDONLY),
      let tail = try? Disk.read(file, at: max(0, size - (1 << 14)), limit: 1 << 14, path: folder.metrics)
    else { return nil }
    for line in tail.split(separator: UInt8(ascii: "\n")).reversed() {
      if let found = try? Codec.decode(Line.self, line), found.step >= 0 { return found.step }
    }
    return nil
  }
}

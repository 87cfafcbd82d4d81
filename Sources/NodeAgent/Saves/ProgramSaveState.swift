import Domain

/// Which of the things that a program saves by its own rules are complete.
///
/// Nobody renames them for Baton, so it is looked at them: what came by a rename is complete at once; else what nobody has
/// open for writing, and is as it was for a while. A value: it is told what was seen, and returns what to copy.
struct ProgramSaveState: Hashable {
  /// What was seen of one of them.
  struct Look: Hashable, Sendable {
    /// Length, number and time of writing of each file, by its path below; "" for a thing that is a file.
    var files: [String: [Int64]]
    /// Whether it is a folder.
    var isFolder: Bool
    /// Whether somebody has a file of it open for writing.
    var isOpen = false

    /// Whether there is anything in it.
    var hasContent: Bool { files.values.contains { ($0.first ?? 0) > 0 } }
    /// The same, whoever has it open.
    func isAs(_ other: Look) -> Bool { files == other.files && isFolder == other.isFolder }
  }

  /// What came of a copy.
  enum Ending: Hashable, Sendable {
    /// It is what was seen.
    case done
    /// It was written to meanwhile, or replaced.
    case changed
    /// It is gone, or could not be copied.
    case failed(String)
  }

  private enum Thing: Hashable {
    /// Was there before the program, or is copied, as it was seen then. Goes to `changing`.
    case settled(Look)
    /// Changes, or did a moment ago: as it is since `since`, and not settled since `first`. Goes to `copied`.
    case changing(Look, since: BootInstant, first: BootInstant)
    /// Is being copied as it was seen. Goes to `settled` or `changing`.
    case copied(Look)
  }

  private enum Time: Hashable {
    case running
    /// The program is about to be told to leave.
    case leaving
    /// It is gone; whether every rank left by itself.
    case over(wasClean: Bool)
  }

  /// A file that was not written to for so long is complete.
  static let quietFile = TimeSpan.seconds(1)
  /// The same of a folder, whose files come one after the other.
  static let quietFolder = TimeSpan.seconds(5)
  /// A file that is never quiet for so long is copied between two writes, as it is just then.
  static let patience = TimeSpan.seconds(10)
  /// How often it is looked while something changes.
  static let pause = TimeSpan(microseconds: 250_000)

  private var things: [String: Thing] = [:]
  private var renamed: Set<String> = []
  private var time = Time.running
  private var lastLook: BootInstant?

  /// `found` was there before the program: none of it is new.
  init(before found: [String: Look]) { things = found.mapValues { .settled($0) } }

  /// Whether something changes, or is being copied.
  var isBusy: Bool { !isIdle || isAnyChanging }

  private var isAnyChanging: Bool { things.values.contains { if case .changing = $0 { true } else { false } } }

  /// Whether nothing is being copied.
  var isIdle: Bool { !things.values.contains { if case .copied = $0 { true } else { false } } }

  /// When it has to be looked again, without news; nil for never.
  var nextLook: BootInstant? {
    guard let lastLook, isAnyChanging else { return nil }
    if case .over = time { return nil }
    return lastLook + Self.pause
  }

  /// `name` came by a rename: whoever does that has written all of it before.
  mutating func wasRenamed(_ name: String) { renamed.insert(name) }

  /// The program will be told to leave as soon as nothing is being saved: files need not be quiet any more.
  mutating func leaves() { if case .running = time { time = .leaving } }

  /// The program is gone, and nothing changes any more.
  ///
  /// - Parameter wasClean: whether every rank left by itself, so that what was written last was written to its end.
  mutating func isOver(wasClean: Bool) { time = .over(wasClean: wasClean) }

  /// Takes in all that is there at `now`; returns what is to be copied, as it was seen.
  mutating func saw(_ found: [String: Look], at now: BootInstant) -> [String: Look] {
    lastLook = now
    var complete: [String: Look] = [:]
    for (name, look) in found {
      guard let changed = changed(name, look, now) else {
        // What is written into it later is not renamed.
        if case .settled? = things[name] { renamed.remove(name) }
        continue
      }
      things[name] = changed
      guard isComplete(name, changed, at: now) else { continue }
      things[name] = .copied(look)
      renamed.remove(name)
      complete[name] = look
    }
    for name in things.keys where found[name] == nil {
      // What is being copied is heard of again.
      if case .copied? = things[name] { continue }
      things[name] = nil
      renamed.remove(name)
    }
    return complete
  }

  /// What `name` is now; nil where there is nothing to decide.
  private func changed(_ name: String, _ look: Look, _ now: BootInstant) -> Thing? {
    switch things[name] {
    case nil: .changing(look, since: now, first: now)
    case .settled(let before): before.isAs(look) ? nil : .changing(look, since: now, first: now)
    case .changing(let before, let since, let first):
      .changing(look, since: before.isAs(look) && !look.isOpen ? since : now, first: first)
    case .copied: nil
    }
  }

  private func isComplete(_ name: String, _ thing: Thing, at now: BootInstant) -> Bool {
    guard case .changing(let look, let since, let first) = thing, look.hasContent else { return false }
    let isQuiet = now - since >= (look.isFolder ? Self.quietFolder : Self.quietFile)
    let isRename = renamed.contains(name)
    switch time {
    case .running:
      return !look.isOpen && (isRename || isQuiet || !look.isFolder && now - first >= Self.patience)
    case .leaving: return !look.isOpen && (isRename || isQuiet || !look.isFolder)
    case .over(let wasClean): return wasClean || isRename || isQuiet
    }
  }

  /// The copy of `name` has come to its end.
  mutating func copied(_ name: String, _ ending: Ending, at now: BootInstant) {
    guard case .copied(let look)? = things[name] else { return }
    switch ending {
    case .done, .failed: things[name] = .settled(look)
    case .changed: things[name] = .changing(look, since: now, first: now)
    }
  }
}

/// Which number a checkpoint gets.
struct ProgramSaveSteps: Hashable {
  /// The newest so far: what was resumed from, at first.
  private(set) var newest: Int
  private var used: Set<Int> = []

  init(resumedFrom step: Int?) { newest = step ?? 0 }

  /// The step of what is to be copied; nil where this attempt has saved that step before, or a later one.
  ///
  /// Nobody would resume from an earlier one. A rename is not heard of in a folder that was made a moment before, so what
  /// came there first may be found complete last.
  ///
  /// - Parameters:
  ///   - told: what its name tells.
  ///   - measured: the last step of the metrics.
  mutating func number(told: Int?, measured: Int?) -> Int? {
    let step = told ?? max(newest + 1, measured ?? 0)
    guard step > used.max() ?? -1 else { return nil }
    used.insert(step)
    newest = max(newest, step)
    return step
  }

  /// What was to be `step` did not become a checkpoint.
  mutating func isFree(_ step: Int) { used.remove(step) }
}

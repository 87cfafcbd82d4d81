/// What a program that knows nothing of Baton saves by itself, and where.
public struct ProgramSaves: Hashable, Sendable, Codable {
  /// The folder that it saves in, below the working folder; empty for that itself.
  public let folder: String
  /// What in it is one checkpoint.
  public let pattern: CheckpointPattern

  /// Saves at `path`, relative to the working folder: one file or folder of that name, or with a `pattern` what in the
  /// folder `path` has such a name.
  ///
  /// - Throws: what is wrong with either.
  public init(path: String, pattern: String?) throws(Problem) {
    if path.hasPrefix("/") || path.hasPrefix("~") { throw .absolute(path) }
    let parts = path.split(separator: "/").filter { $0 != "." }.map(String.init)
    if parts.contains("..") { throw .outside(path) }
    if let pattern {
      folder = parts.joined(separator: "/")
      self.pattern = try CheckpointPattern(pattern)
      return
    }
    guard let name = parts.last else { throw .all(path) }
    folder = parts.dropLast().joined(separator: "/")
    self.pattern = try CheckpointPattern(name + (path.hasSuffix("/") ? "/" : ""))
  }

  /// Why a path or pattern cannot be used.
  public enum Problem: Error, Hashable, Sendable {
    /// A path from the root or a home folder.
    case absolute(String)
    /// A path that leaves the working folder.
    case outside(String)
    /// All of the working folder, where logs and code may be.
    case all(String)
    /// A pattern that names nothing, or a place below a folder.
    case noName(String)
    /// A pattern with braces round something else than `step`.
    case unknownWord(String)
    /// A pattern with more than one `{step}`.
    case severalSteps(String)
  }
}

extension ProgramSaves.Problem: CustomStringConvertible {
  /// What is wrong, and what to write.
  public var description: String {
    switch self {
    case .absolute(let path):
      "expected a path below the working folder, which the program starts in, found '\(path)': tell the program to save "
        + "in a folder of that kind, as in --out_dir=out, and write path: out"
    case .outside(let path): "'\(path)' leaves the working folder, which the program starts in"
    case .all(let path): "'\(path)' is all of the working folder: name a file or folder in it, or add a pattern"
    case .noName(let text):
      "expected a name in the folder that path names, as in ckpt-{step}.pt, or checkpoint-{step}/ for a folder; "
        + "found '\(text)'"
    case .unknownWord(let word): "{\(word)} means nothing here: {step} is the step, and * anything"
    case .severalSteps(let text): "'\(text)' has more than one {step}: write * for the other numbers"
    }
  }
}

/// Names of checkpoints, and where in them their step is: `ckpt-{step}.pt`, `epoch=*-step={step}.ckpt`,
/// `checkpoint-{step}/`, `snapshot.pt`.
///
/// `{step}` is one digit or more, `*` any characters; a slash at the end asks for a folder. Coded as its text.
public struct CheckpointPattern: Hashable, Sendable {
  private enum Piece: Hashable {
    case text(String)
    case step
    case anything
  }

  /// As it is written.
  public let text: String
  /// Whether only folders have it.
  public let isFolder: Bool
  private let pieces: [Piece]

  /// Reads a pattern.
  ///
  /// - Throws: what is wrong with it.
  public init(_ text: String) throws(ProgramSaves.Problem) {
    self.text = text
    isFolder = text.hasSuffix("/")
    var rest = isFolder ? text.dropLast() : text[...]
    guard !rest.isEmpty, rest != ".", rest != "..", !rest.contains("/") else { throw .noName(text) }
    var pieces: [Piece] = []
    while let next = rest.first {
      if next == "*" {
        pieces.append(.anything)
        rest.removeFirst()
      } else if next == "{", let end = rest.firstIndex(of: "}") {
        let word = rest[rest.index(after: rest.startIndex)..<end]
        guard word == "step" else { throw .unknownWord(String(word)) }
        pieces.append(.step)
        rest = rest[rest.index(after: end)...]
      } else {
        let end = rest.dropFirst().firstIndex { $0 == "*" || $0 == "{" } ?? rest.endIndex
        pieces.append(.text(String(rest[..<end])))
        rest = rest[end...]
      }
    }
    guard pieces.count(where: { $0 == .step }) <= 1 else { throw .severalSteps(text) }
    self.pieces = pieces
  }

  /// Whether names of it tell a step.
  public var tellsStep: Bool { pieces.contains(.step) }

  /// What a name of this pattern tells.
  public struct Match: Hashable, Sendable {
    /// Its step; nil where the pattern has none.
    public var step: Int?
  }

  /// What `name` tells; nil where it is none of these names.
  ///
  /// Of several ways to read it the one with the longest number counts.
  public func match(_ name: String) -> Match? {
    Self.match(Array(name.utf8)[...], pieces[...]).map { Match(step: $0 < 0 ? nil : $0) }
  }

  /// The step, -1 where there is none; nil where it does not match.
  private static func match(_ name: ArraySlice<UInt8>, _ pieces: ArraySlice<Piece>) -> Int? {
    guard let piece = pieces.first else { return name.isEmpty ? -1 : nil }
    let later = pieces.dropFirst()
    switch piece {
    case .text(let text):
      return name.starts(with: text.utf8) ? match(name.dropFirst(text.utf8.count), later) : nil
    case .anything:
      for count in 0...name.count {
        if let step = match(name.dropFirst(count), later) { return step }
      }
      return nil
    case .step:
      let digits = name.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }.prefix(18)
      for count in stride(from: digits.count, to: 0, by: -1) where match(name.dropFirst(count), later) != nil {
        return digits.prefix(count).reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
      }
      return nil
    }
  }
}

extension CheckpointPattern: Codable {
  /// Reads the text, and refuses what `init(_:)` refuses.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    do {
      try self.init(try container.decode(String.self))
    } catch let problem as ProgramSaves.Problem {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: problem.description)
    }
  }

  /// Writes the text.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}

/// The signal that ranks are asked to save with.
public enum SaveSignal: String, Hashable, Sendable, Codable, CaseIterable {
  /// `SIGUSR1`.
  case usr1 = "USR1"
  /// `SIGUSR2`.
  case usr2 = "USR2"
  /// `SIGHUP`.
  case hup = "HUP"
  /// No signal: the program cannot be asked.
  case none
}

extension CheckpointPolicy {
  /// How the ranks are asked: as the job says, or else by the contract; a program that saves by itself is not asked.
  public var askedBy: SaveSignal { signal ?? (program == nil ? .usr1 : .none) }

  /// Whether the ranks can be asked to save.
  public var canBeAsked: Bool { askedBy != .none }
}

/// How the command of an attempt that resumes differs from the first one's.
///
/// `{checkpoint}` in its words stands for the path of what is resumed from, `{step}` for its step.
public enum ResumeCommand: Hashable, Sendable, Codable {
  /// These words follow the command's.
  case adding([String])
  /// These words take its place.
  case replacing([String])

  /// The words of an attempt that resumes from `checkpoint`, of `step`.
  ///
  /// Variables (`$NAME`) are still to be replaced, and nothing of the path is taken for one.
  public func words(after command: [String], checkpoint: String, step: Int) -> [String] {
    func filled(_ word: String) -> String {
      word.split(separator: "{checkpoint}", omittingEmptySubsequences: false)
        .map { $0.split(separator: "{step}", omittingEmptySubsequences: false).joined(separator: "\(step)") }
        .joined(separator: checkpoint.split(separator: "$", omittingEmptySubsequences: false).joined(separator: "$$"))
    }
    switch self {
    case .adding(let words): return command + words.map(filled)
    case .replacing(let words): return words.map(filled)
    }
  }
}

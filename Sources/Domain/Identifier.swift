/// Something that has a number of its own in the database.
public protocol Identified {
  /// The word before the number wherever an id is shown, as in `job-17`.
  static var idPrefix: String { get }
}

/// The number of one `Entity`.
///
/// Two kinds of id never mix: a `JobID` is not an `AttemptID`.
///
/// Shown as `job-17`, coded as the bare integer, read from either (`Identifier(text:)`).
public struct Identifier<Entity: Identified>: Hashable, Sendable, Comparable {
  /// The number in the database; positive.
  public let rawValue: Int64

  /// Wraps a number that is known to name an `Entity`.
  public init(_ rawValue: Int64) {
    self.rawValue = rawValue
  }

  /// Reads `17` or `job-17`; nil for anything else, also for another kind's prefix.
  public init?(text: String) {
    let prefix = Entity.idPrefix + "-"
    let digits = text.hasPrefix(prefix) ? text.dropFirst(prefix.count) : Substring(text)
    guard let first = digits.first, first.isASCII, first.isNumber else { return nil }
    guard let number = Int64(digits), number > 0 else { return nil }
    self.init(number)
  }

  /// Orders by number: older first.
  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

extension Identifier: CustomStringConvertible {
  /// `job-17`.
  public var description: String { "\(Entity.idPrefix)-\(rawValue)" }
}

extension Identifier: Codable {
  /// Reads the bare integer.
  public init(from decoder: any Decoder) throws {
    self.init(try decoder.singleValueContainer().decode(Int64.self))
  }

  /// Writes the bare integer.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(rawValue)
  }
}

/// The kinds of thing that have an id but no type of their own in this module.
public enum Entities {
  /// A job as it was submitted.
  public enum Job: Identified {
    /// The word before the number.
    public static let idPrefix = "job"
  }
  /// The whole history of a job; numbered like its job.
  public enum Run: Identified {
    /// The word before the number.
    public static let idPrefix = "run"
  }
  /// One execution of a job inside one lease.
  public enum Attempt: Identified {
    /// The word before the number.
    public static let idPrefix = "attempt"
  }
  /// A set of nodes for a while.
  public enum Lease: Identified {
    /// The word before the number.
    public static let idPrefix = "lease"
  }
  /// One machine.
  public enum Node: Identified {
    /// The word before the number.
    public static let idPrefix = "node"
  }
  /// One saved step of a run.
  public enum Checkpoint: Identified {
    /// The word before the number.
    public static let idPrefix = "checkpoint"
  }
  /// One version of a data set.
  public enum DatasetVersion: Identified {
    /// The word before the number.
    public static let idPrefix = "dataset"
  }
  /// Who owns.
  public enum Project: Identified {
    /// The word before the number.
    public static let idPrefix = "project"
  }
  /// Who acts.
  public enum User: Identified {
    /// The word before the number.
    public static let idPrefix = "user"
  }
  /// By what right.
  public enum Token: Identified {
    /// The word before the number.
    public static let idPrefix = "token"
  }
  /// One proof that a run goes on from a checkpoint as it should.
  public enum ResumeCheck: Identified {
    /// The word before the number.
    public static let idPrefix = "check"
  }
  /// One line of the audit log.
  public enum Event: Identified {
    /// The word before the number.
    public static let idPrefix = "event"
  }
}

/// The number of a job.
public typealias JobID = Identifier<Entities.Job>
/// The number of a run.
public typealias RunID = Identifier<Entities.Run>
/// The number of an attempt.
public typealias AttemptID = Identifier<Entities.Attempt>
/// The number of a lease.
public typealias LeaseID = Identifier<Entities.Lease>
/// The number of a node.
public typealias NodeID = Identifier<Entities.Node>
/// The number of a checkpoint.
public typealias CheckpointID = Identifier<Entities.Checkpoint>
/// The number of a data set version.
public typealias DatasetVersionID = Identifier<Entities.DatasetVersion>
/// The number of a project.
public typealias ProjectID = Identifier<Entities.Project>
/// The number of a user.
public typealias UserID = Identifier<Entities.User>
/// The number of a token.
public typealias TokenID = Identifier<Entities.Token>
/// The number of a proof that a run goes on from a checkpoint as it should.
public typealias ResumeCheckID = Identifier<Entities.ResumeCheck>
/// The number of a line of the audit log.
public typealias EventID = Identifier<Entities.Event>

extension JobID {
  /// The run of this job: same number, since a job has exactly one run.
  public var run: RunID { RunID(rawValue) }
}

extension RunID {
  /// The job of this run.
  public var job: JobID { JobID(rawValue) }
}

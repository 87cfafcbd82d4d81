extension Entities {
  /// Jobs that one file made together.
  public enum JobGroup: Identified {
    /// The word before the number.
    public static let idPrefix = "group"
  }
}

/// The number of a group of jobs.
public typealias JobGroupID = Identifier<Entities.JobGroup>

/// A group of which only so many jobs may hold nodes at a time.
public struct GroupSnapshot: Hashable, Sendable {
  /// Which.
  public var id: JobGroupID
  /// How many of its jobs may have an attempt.
  public var atMost: Int
  /// How many have one.
  public var running: Int

  /// A group with a limit.
  public init(id: JobGroupID, atMost: Int, running: Int) {
    self.id = id
    self.atMost = atMost
    self.running = running
  }
}

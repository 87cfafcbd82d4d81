public import Domain

/// A group of jobs that one file made, and how they stand.
public struct GroupView: Hashable, Sendable, Codable {
  /// Its id.
  public var id: JobGroupID
  /// Its name.
  public var name: String
  /// How many jobs it has.
  public var size: Int
  /// How many may hold nodes at a time; nil is any number.
  public var atMost: Int?
  /// When it was submitted.
  public var submittedAt: Timestamp
  /// How many of its jobs are in each state; states without any are left out.
  public var states: [String: Int]
  /// Its jobs, by index.
  public var jobs: [JobID]
  /// Whose it is: the names of project and user; nil where the server does not tell.
  public var project: String?
  /// Who submitted it.
  public var user: String?

  /// A group.
  public init(
    id: JobGroupID, name: String, size: Int, atMost: Int?, submittedAt: Timestamp, states: [String: Int], jobs: [JobID],
    project: String? = nil, user: String? = nil
  ) {
    self.id = id
    self.name = name
    self.size = size
    self.atMost = atMost
    self.submittedAt = submittedAt
    self.states = states
    self.jobs = jobs
    self.project = project
    self.user = user
  }
}

/// Where a job stands in the group that its file made.
public struct GroupMemberView: Hashable, Sendable, Codable {
  /// Which group.
  public var group: JobGroupID
  /// The index of an array, or the place in a matrix.
  public var index: Int
  /// What the matrix gave it, by name.
  public var values: [String: String]

  /// A member.
  public init(group: JobGroupID, index: Int, values: [String: String]) {
    self.group = group
    self.index = index
    self.values = values
  }
}

public import Domain

/// What stood around ranks, and where that was so.
public struct EnvironmentView: Hashable, Sendable, Codable {
  /// SHA-256 of it: equal ones have equal ids.
  public var id: String
  /// One thing each, by name.
  public var facts: [String: String]
  /// Versions of Python packages, by name.
  public var packages: [String: String]
  /// Where.
  public var places: [Place]

  /// A node of an attempt.
  public struct Place: Hashable, Sendable, Codable {
    /// The attempt, by number.
    public var attempt: Int
    /// The node's name.
    public var node: String

    /// A node of an attempt.
    public init(attempt: Int, node: String) {
      self.attempt = attempt
      self.node = node
    }
  }

  /// An environment.
  public init(id: String, facts: [String: String], packages: [String: String], places: [Place]) {
    self.id = id
    self.facts = facts
    self.packages = packages
    self.places = places
  }
}

/// A checkpoint, named.
public struct CheckpointRef: Hashable, Sendable, Codable {
  /// Its id.
  public var id: CheckpointID
  /// Its run.
  public var run: RunID
  /// Its step.
  public var step: Int
  /// Where it stands.
  public var state: CheckpointState

  /// A checkpoint.
  public init(id: CheckpointID, run: RunID, step: Int, state: CheckpointState) {
    self.id = id
    self.run = run
    self.step = step
    self.state = state
  }
}

/// What somebody wrote about a run.
public struct RunNoteView: Hashable, Sendable, Codable {
  /// Who.
  public var author: String
  /// When.
  public var at: Timestamp
  /// What.
  public var text: String

  /// A note.
  public init(author: String, at: Timestamp, text: String) {
    self.author = author
    self.at = at
    self.text = text
  }
}

/// `POST /runs/{run}/tags`.
public struct TagRequest: Hashable, Sendable, Codable {
  /// Words to add.
  public var add: [String]
  /// Words to take away.
  public var remove: [String]

  /// A change of a run's words.
  public init(add: [String] = [], remove: [String] = []) {
    self.add = add
    self.remove = remove
  }
}

/// What `POST /runs/{run}/tags` answers with.
public struct RunTags: Hashable, Sendable, Codable {
  /// The run.
  public var run: RunID
  /// The words that it has now, sorted.
  public var tags: [String]

  /// The words of a run.
  public init(run: RunID, tags: [String]) {
    self.run = run
    self.tags = tags
  }
}

/// `POST /runs/{run}/notes`.
public struct NoteRequest: Hashable, Sendable, Codable {
  /// What to write; at most 64 KiB.
  public var text: String

  /// A note.
  public init(text: String) { self.text = text }
}

/// What `POST /runs/{run}/notes` answers with.
public struct RunNotes: Hashable, Sendable, Codable {
  /// The run.
  public var run: RunID
  /// All notes, oldest first.
  public var notes: [RunNoteView]

  /// The notes of a run.
  public init(run: RunID, notes: [RunNoteView]) {
    self.run = run
    self.notes = notes
  }
}

/// `POST /runs/{run}/reproduce`.
public struct ReproduceRequest: Hashable, Sendable, Codable {
  /// Chosen by the client; the same key twice is the same job.
  public var submissionKey: String
  /// Its name; nil for the run's.
  public var name: String?
  /// The lease to use, by name or id; nil for the one that the job file names, where it can be used, else any.
  public var lease: String?

  /// A request to do a run again.
  public init(submissionKey: String, name: String? = nil, lease: String? = nil) {
    self.submissionKey = submissionKey
    self.name = name
    self.lease = lease
  }
}

/// What `POST /runs/{run}/reproduce` answers with.
public struct Reproduction: Hashable, Sendable, Codable {
  /// The run that is done again.
  public var original: RunID
  /// The job that does it.
  public var job: JobView
  /// What cannot be the same, for people.
  public var caveats: [String]

  /// A run that is done again.
  public init(original: RunID, job: JobView, caveats: [String]) {
    self.original = original
    self.job = job
    self.caveats = caveats
  }
}

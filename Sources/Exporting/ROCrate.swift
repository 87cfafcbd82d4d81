public import Domain
public import Wire

/// The metadata of a run as an RO-Crate 1.1 (https://w3id.org/ro/crate/1.1): the run is a `CreateAction` by a program on
/// data, whose results are the files of the crate and the checkpoints in the object store.
public struct ROCrate: Sendable {
  /// A file of the crate.
  public struct File: Hashable, Sendable {
    /// Its path in the crate.
    public var path: String
    /// What it is, in a sentence.
    public var about: String
    /// Its MIME type.
    public var type: String
    /// Its length in bytes.
    public var size: Int64

    /// A file of the crate.
    public init(path: String, about: String, type: String, size: Int64) {
      self.path = path
      self.about = about
      self.type = type
      self.size = size
    }
  }

  /// The name of the file that makes a folder a crate.
  public static let fileName = "ro-crate-metadata.json"

  private let run: RunView
  private let clock: RunClock
  private let files: [File]
  private let now: Timestamp
  /// Which of `files` is the job file, and which holds changes that were not committed.
  private let jobFile: String
  private let diff: String?

  /// The crate of `run` with `files`, made at `now`.
  public init(_ run: RunView, files: [File], jobFile: String, diff: String?, at now: Timestamp) {
    self.run = run
    clock = RunClock(run)
    self.files = files
    self.now = now
    self.jobFile = jobFile
    self.diff = diff
  }

  /// What `ro-crate-metadata.json` holds.
  public var metadata: JSONTree {
    [
      "@context": "https://w3id.org/ro/crate/1.1/context",
      "@graph": .list([descriptor, root, action, person, software] + fileEntities + datasets + checkpoints + attempts),
    ]
  }

  private static func reference(_ id: String) -> JSONTree { ["@id": .text(id)] }

  private var descriptor: JSONTree {
    [
      "@id": .text(Self.fileName), "@type": "CreativeWork",
      "conformsTo": Self.reference("https://w3id.org/ro/crate/1.1"), "about": Self.reference("./"),
    ]
  }

  private var root: JSONTree {
    [
      "@id": "./", "@type": "Dataset", "name": "\(run.job.name) (\(run.id))",
      "description": .text(
        "A training run of project \(run.job.project) that Baton carried over "
          + "\(counted(run.attempts.count, "attempt")): its curves, what they were computed from, and how."),
      "datePublished": .text(now.iso8601), "license": "not stated: ask \(run.job.user) of \(run.job.project)",
      "author": Self.reference("#person"), "identifier": "\(run.job.project)/\(run.id)",
      "hasPart": .list(files.map { Self.reference(escaped($0.path)) }), "mentions": Self.reference("#run"),
    ]
  }

  private var action: JSONTree {
    var fields: [String: JSONTree] = [
      "@id": "#run", "@type": "CreateAction", "name": "\(run.id)",
      "description": .text(
        "\(run.job.state.rawValue), \(counted(run.stepsRedone, "step")) computed twice, "
          + "seed \(run.provenance.seed)"),
      "startTime": .text(clock.start.iso8601), "actionStatus": Self.reference(status),
      "agent": Self.reference("#person"), "instrument": Self.reference("#software"),
      "object": .list(
        [Self.reference(escaped(jobFile))] + run.provenance.datasets.indices.map { Self.reference("#data-\($0 + 1)") }),
      "result": .list(
        files.filter { $0.path != jobFile && $0.path != diff }.map { Self.reference(escaped($0.path)) }
          + run.checkpoints.filter { $0.state == .durable }.map { Self.reference("#\($0.id)") }),
      "subjectOf": .list(run.attempts.map { Self.reference("#attempt-\($0.number)") }),
    ]
    if let end = clock.end { fields["endTime"] = .text(end.iso8601) }
    if let reason = run.job.reasonDetail { fields["error"] = .text(reason) }
    return .object(fields)
  }

  private var status: String {
    switch run.job.state {
    case .completed: "http://schema.org/CompletedActionStatus"
    case .failed, .timeout, .cancelled: "http://schema.org/FailedActionStatus"
    default: "http://schema.org/ActiveActionStatus"
    }
  }

  private var person: JSONTree {
    [
      "@id": "#person", "@type": "Person", "name": .text(run.job.user),
      "description": "\(run.job.user) of project \(run.job.project)",
    ]
  }

  private var software: JSONTree {
    let source = run.provenance.source
    var fields: [String: JSONTree] = [
      "@id": "#software", "@type": "SoftwareSourceCode", "name": "the program of \(run.job.name)",
      "description": .text(
        source.gitCommit == nil
          ? "not from a git work tree"
          : source.gitDirty == true ? "with changes that were not committed" : "as it was committed"),
    ]
    if let commit = source.gitCommit { fields["version"] = .text(commit) }
    if let diff { fields["hasPart"] = Self.reference(escaped(diff)) }
    return .object(fields)
  }

  private var fileEntities: [JSONTree] {
    files.map { file in
      [
        "@id": .text(escaped(file.path)), "@type": "File", "name": .text(file.path), "description": .text(file.about),
        "encodingFormat": .text(file.type), "contentSize": "\(file.size)",
      ]
    }
  }

  private var datasets: [JSONTree] {
    run.provenance.datasets.enumerated().map { index, dataset in
      [
        "@id": "#data-\(index + 1)", "@type": "Dataset", "name": "\(dataset.name) version \(dataset.version)",
        "version": "\(dataset.version)", "identifier": "sha256:\(dataset.contentID)",
        "description":
          "A data set of the testbed; the identifier is the hash of its manifest, which names each file's.",
      ]
    }
  }

  private var checkpoints: [JSONTree] {
    run.checkpoints.filter { $0.state == .durable }.map { checkpoint in
      [
        "@id": "#\(checkpoint.id)", "@type": "Dataset", "name": "checkpoint at step \(checkpoint.step)",
        "identifier": .text(checkpoint.prefix), "contentSize": "\(checkpoint.bytes.bytes)",
        "dateCreated": .text(checkpoint.createdAt.iso8601),
        "description": .text(
          "Written by attempt \(checkpoint.attemptNumber); in the testbed's object store, not in this crate."),
      ]
    }
  }

  private var attempts: [JSONTree] {
    run.attempts.map { attempt in
      var fields: [String: JSONTree] = [
        "@id": "#attempt-\(attempt.number)", "@type": "CreativeWork", "name": "attempt \(attempt.number)",
        "dateCreated": .text(attempt.createdAt.iso8601),
        "description": .text(
          [
            "on \(attempt.nodes.map(\.name).joined(separator: ", ")) in lease \(attempt.leaseName)",
            attempt.resumedFromStep.map { "from step \($0)" } ?? "from the beginning",
            attempt.outcome?.rawValue ?? attempt.state.rawValue, attempt.detail,
          ].compactMap { $0 }.joined(separator: "; ")),
      ]
      if let end = attempt.endedAt { fields["dateModified"] = .text(end.iso8601) }
      return .object(fields)
    }
  }

  /// A path as a URI reference has it.
  private func escaped(_ path: String) -> String {
    path.utf8.map { byte in
      let isPlain =
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || "-._~/".utf8.contains(byte)
      guard !isPlain else { return String(decoding: [byte], as: UTF8.self) }
      let digits = String(byte, radix: 16, uppercase: true)
      return "%" + (digits.count < 2 ? "0" : "") + digits
    }.joined()
  }
}

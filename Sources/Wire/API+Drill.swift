public import Domain

/// `POST /leases/{lease}/drill`.
public struct DrillRequest: Hashable, Sendable, Codable {
  /// Really stop what runs, as at the lease's end, and let it go on in the same lease; else it only saves and goes on.
  public var stop: Bool?

  /// A drill that stops what runs, or not.
  public init(stop: Bool? = nil) { self.stop = stop }
}

/// One thing that a lease's end needs, and whether it is so.
public struct DrillCheck: Hashable, Sendable, Codable {
  /// What: `node`, `store`, `save`, `read back`, `resume`, `next lease`.
  public var name: String
  /// Of what: `n1`, `job-17`.
  public var subject: String
  /// Whether it is as it has to be.
  public var passed: Bool
  /// What was found.
  public var detail: String
  /// What to do about it; nil where nothing is to be done.
  public var next: String?
  /// How long it took, where that was measured.
  public var took: TimeSpan?
  /// How long it may take, where something depends on that.
  public var allowed: TimeSpan?

  /// What was found of `name` of `subject`.
  public init(
    name: String, subject: String, passed: Bool, detail: String, next: String? = nil, took: TimeSpan? = nil,
    allowed: TimeSpan? = nil
  ) {
    self.name = name
    self.subject = subject
    self.passed = passed
    self.detail = detail
    self.next = next
    self.took = took
    self.allowed = allowed
  }
}

/// What a drill found.
public struct DrillReport: Hashable, Sendable, Codable {
  /// The lease whose end was played.
  public var lease: LeaseID
  /// Its name.
  public var leaseName: String
  /// Whether what ran was stopped.
  public var stopped: Bool
  /// How long it took.
  public var took: TimeSpan
  /// Whether every check passed.
  public var passed: Bool
  /// All of them, in the order in which they were made.
  public var checks: [DrillCheck]

  /// A report; it passed where every check did.
  public init(lease: LeaseID, leaseName: String, stopped: Bool, took: TimeSpan, checks: [DrillCheck]) {
    self.lease = lease
    self.leaseName = leaseName
    self.stopped = stopped
    self.took = took
    self.checks = checks
    passed = checks.allSatisfy(\.passed)
  }
}

/// An event `drill`: a check as it is made, and at last the report.
public struct DrillProgress: Hashable, Sendable, Codable {
  /// What was just found.
  public var check: DrillCheck?
  /// All of it; only in the last one.
  public var report: DrillReport?

  /// A step of a drill.
  public init(check: DrillCheck? = nil, report: DrillReport? = nil) {
    self.check = check
    self.report = report
  }
}

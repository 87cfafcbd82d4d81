public import Domain

/// What stands around every page: who looks, at what moment, and who decides.
public struct Frame: Hashable, Sendable {
  /// Who looks at a page.
  public struct Viewer: Hashable, Sendable {
    /// The user's name.
    public var user: String
    /// The project that the token belongs to.
    public var project: String

    /// `user` of `project`.
    public init(user: String, project: String) {
      self.user = user
      self.project = project
    }
  }

  /// Nil on pages that nobody needs to be anybody for.
  public var viewer: Viewer?
  /// The controller epoch in force; nil where the database was not asked.
  public var controllerEpoch: Int64?
  /// The moment at which the page is true, by the clock that decides; nil where the database was not asked.
  public var now: Timestamp?

  /// The frame of a page for `viewer`.
  public init(viewer: Viewer? = nil, controllerEpoch: Int64? = nil, now: Timestamp? = nil) {
    self.viewer = viewer
    self.controllerEpoch = controllerEpoch
    self.now = now
  }
}

/// The entries of the navigation.
enum Section: String, CaseIterable {
  case overview = "Overview"
  case queue = "Queue"
  case leases = "Leases"
  case nodes = "Nodes"
  case data = "Data"
  case runs = "Runs"
  case groups = "Groups"
  case events = "Events"

  var path: String { self == .overview ? "/" : "/" + rawValue.lowercased() }
}

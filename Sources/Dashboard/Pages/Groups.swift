public import Domain
public import Wire

/// What `/groups` shows.
public struct GroupsContent: Hashable, Sendable {
  /// Which groups it shows.
  public enum Show: String, CaseIterable, Sendable {
    /// All of them.
    case all
    /// Those of which some job is not over.
    case live
    /// Those of which all are.
    case over

    /// Whether those that are shown are over; nil is any.
    public var isOver: Bool? { self == .all ? nil : self == .over }
  }

  /// The groups, newest first.
  public var groups: [GroupView]
  /// Which of them were asked for.
  public var show: Show
  /// Whether these are the newest.
  public var isFirst: Bool
  /// The last of `groups`, where there may be older ones behind it.
  public var older: JobGroupID?

  /// The content of `/groups`.
  public init(groups: [GroupView], show: Show, isFirst: Bool = true, older: JobGroupID? = nil) {
    self.groups = groups
    self.show = show
    self.isFirst = isFirst
    self.older = older
  }
}

extension PageRenderer {
  /// `/groups`: arrays, matrices and studies, newest first.
  public func groups(_ content: GroupsContent, at now: Timestamp, in frame: Frame) -> String {
    page(.groups, GroupsModel(content), title: "Groups", section: .groups, in: frame)
  }
}

/// How the jobs of a group stand.
struct GroupStates {
  /// How many there are in each state, without those that none is in.
  let counts: [(state: JobState, count: Int)]
  private let size: Int

  init(_ group: GroupView) {
    size = group.size
    counts = JobState.allCases.compactMap { state in group.states[state.rawValue].map { (state, $0) } }
  }

  /// So many are not over.
  var left: Int { size - counts.filter { $0.state.isFinal }.reduce(0) { $0 + $1.count } }

  /// `3 of 6` are over.
  var over: String { "\(grouped(size - left)) of \(grouped(size))" }

  /// `2 PENDING, 1 RUNNING`.
  var words: String { counts.map { "\($0.count) \($0.state.rawValue)" }.joined(separator: ", ") }

  /// How many are in each state, as one bar.
  var bar: String {
    var markup = Markup()
    markup.element(
      "svg",
      ["class": "meter", "viewBox": "0 0 100 6", "preserveAspectRatio": "none", "role": "img", "aria-label": words]
    ) { bar in
      bar.element("rect", ["class": "meter-room", "width": "100", "height": "6"])
      var from = 0
      for (state, count) in counts {
        let x = Double(from) * 100 / Double(max(size, 1))
        // A gap, since states of one colour stand side by side.
        let gap = from + count < size ? 0.3 : 0
        let width = max(0.2, Double(count) * 100 / Double(max(size, 1)) - gap)
        bar.element(
          "rect",
          [
            "class": "meter-part tone-\(Badge(state).tone)", "x": coordinate(x), "width": coordinate(width),
            "height": "6",
          ])
        from += count
      }
    }
    return markup.text
  }
}

private struct GroupsModel {
  struct Kind {
    let name: String
    let link: String
    let isCurrent: Bool
  }

  struct Row {
    let id: String
    let link: String
    let name: String
    let project: String?
    let user: String?
    let bar: String
    let states: String
    let over: String
    let atMost: String?
    let submitted: Moment

    init(_ group: GroupView) {
      id = "\(group.id)"
      link = "/groups/\(group.id.rawValue)"
      name = group.name
      project = group.project
      user = group.user
      let standing = GroupStates(group)
      bar = standing.bar
      states = standing.words
      over = standing.over
      atMost = group.atMost.map(grouped)
      submitted = Moment(group.submittedAt)
    }
  }

  let kinds: [Kind]
  let groups: [Row]
  let older: String?
  let none: Empty?

  init(_ content: GroupsContent) {
    let names: [GroupsContent.Show: String] = [.all: "All", .live: "Not over", .over: "Over"]
    kinds = GroupsContent.Show.allCases.map {
      Kind(name: names[$0] ?? $0.rawValue, link: Self.link(to: $0), isCurrent: $0 == content.show)
    }
    groups = content.groups.map(Row.init)
    older = content.older.map { Self.link(to: content.show, before: $0) }
    none = groups.isEmpty ? Self.none(content) : nil
  }

  private static func link(to show: GroupsContent.Show, before: JobGroupID? = nil) -> String {
    let words = [show == .all ? nil : "show=\(show.rawValue)", before.map { "before=\($0.rawValue)" }]
    let query = words.compactMap { $0 }.joined(separator: "&")
    return query.isEmpty ? "/groups" : "/groups?\(query)"
  }

  private static func none(_ content: GroupsContent) -> Empty {
    let advice = "A job file with `matrix` or `array` makes many jobs, which are one group."
    guard content.isFirst else {
      return Empty(title: "No older group", advice: advice, command: nil)
    }
    switch content.show {
    case .all: return Empty(title: "No group yet", advice: advice, command: "baton submit sweep.yaml")
    case .live: return Empty(title: "All groups are over", advice: advice, command: nil)
    case .over: return Empty(title: "No group is over", advice: advice, command: nil)
    }
  }
}

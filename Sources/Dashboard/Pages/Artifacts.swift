import Domain
public import Wire

/// What the page of a run shows of what its ranks left to be kept.
public struct ArtifactContent: Hashable, Sendable {
  /// The newest of each path and node, by path and node.
  public var items: [ArtifactView]
  /// Whether these are all.
  public var isWhole: Bool
  /// What was left and is not kept, oldest first.
  public var missing: [MissingArtifacts]
  /// Why the object store could not tell; nil where it did.
  public var problem: String?

  /// The artifacts of a run.
  public init(
    items: [ArtifactView], isWhole: Bool = true, missing: [MissingArtifacts] = [], problem: String? = nil
  ) {
    self.items = items
    self.isWhole = isWhole
    self.missing = missing
    self.problem = problem
  }
}

struct ArtifactsModel {
  /// So many files are listed; a command lists them all.
  static let shownMost = 100

  struct File {
    let path: String
    let link: String
    let size: String
    let attempt: Int
    let node: String
  }

  /// `12 files, 3.40 MiB`.
  let count: String?
  let files: [File]
  let hasFiles: Bool
  /// Whether it matters which attempt left a file, and which node.
  let hasAttempts: Bool
  let hasNodes: Bool
  /// What is not listed.
  let rest: String?
  let listing: String
  let fetching: String
  let missing: [String]
  let problem: String?
  let none: Empty?

  init(_ content: ArtifactContent, of run: RunView) {
    let items = content.items
    let total = items.reduce(ByteCount.zero) { $0 + $1.bytes }
    let more = content.isWhole ? "" : " and more"
    count = items.isEmpty ? nil : "\(grouped(items.count)) \(items.count == 1 ? "file" : "files"), \(total)\(more)"
    files = items.prefix(Self.shownMost).map { item in
      File(
        path: item.path, link: Self.link(to: item, of: run), size: "\(item.bytes)", attempt: item.attempt,
        node: Self.node(of: item, run))
    }
    hasFiles = !files.isEmpty
    hasAttempts = run.attempts.count > 1
    hasNodes = items.contains { $0.nodeRank > 0 }
    rest = Self.rest(content)
    listing = "baton run artifacts \(run.id.rawValue)"
    fetching = "baton run artifacts \(run.id.rawValue) --into FOLDER"
    missing = content.missing.map { "attempt \($0.attempt), node \($0.node): \($0.reason)" }
    problem = content.problem
    none =
      items.isEmpty && content.problem == nil && content.isWhole
      ? Empty(
        title: run.job.state.isFinal ? "No artifact" : "No artifact yet",
        advice: "What a program leaves in the folder that BATON_ARTIFACTS_DIR names is kept when an attempt ends.",
        command: nil) : nil
  }

  private static func link(to item: ArtifactView, of run: RunView) -> String {
    "/runs/\(run.id.rawValue)/artifacts/data?path=\(pathComponent(item.path))&attempt=\(item.attempt)"
      + "&node=\(item.nodeRank)"
  }

  /// The name of the node that left it, or its rank where that is not known.
  private static func node(of item: ArtifactView, _ run: RunView) -> String {
    let nodes = run.attempts.first { $0.number == item.attempt }?.nodes ?? []
    return nodes.indices.contains(item.nodeRank) ? nodes[item.nodeRank].name : "node \(item.nodeRank)"
  }

  private static func rest(_ content: ArtifactContent) -> String? {
    let hidden = content.items.count - shownMost
    let more = content.isWhole || content.problem != nil ? nil : "There are more than this page looks at."
    let words = [hidden > 0 ? "\(grouped(hidden)) more are not listed here." : nil, more].compactMap { $0 }
    return words.isEmpty ? nil : words.joined(separator: " ")
  }
}

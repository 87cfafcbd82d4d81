public import Domain
public import Wire

extension PageRenderer {
  /// `/data`: all versions of all data sets, by name, newest first.
  public func data(_ versions: [DatasetView], at now: Timestamp, in frame: Frame) -> String {
    struct Model {
      let count: Int
      let versions: [DatasetRow]
      let none: Empty?
    }
    let none = Empty(
      title: "No data set yet", advice: "Send a folder, or name what is in the site's object store:",
      command: "baton data add NAME PATH")
    let model = Model(
      count: Set(versions.map(\.name)).count, versions: versions.map { DatasetRow($0, at: now) },
      none: versions.isEmpty ? none : nil)
    return page(.data, model, title: "Data", section: .data, in: frame)
  }
}

/// A version of a data set in a table.
struct DatasetRow {
  /// A copy on a node.
  struct Copy {
    let node: String
    let badge: Badge
  }

  let name: String
  let version: Int
  let content: String
  let files: Int
  let changes: String?
  let size: String
  let packed: String?
  let copies: [Copy]
  let hasCopies: Bool
  let source: String
  let origin: String?
  let added: String

  init(_ dataset: DatasetView, at now: Timestamp) {
    name = dataset.name
    version = dataset.version
    content = String(dataset.contentID.prefix(12))
    files = dataset.objects
    changes = dataset.changes.map { "\($0)" }
    size = "\(dataset.total)"
    packed = dataset.pack.map { "\(counted($0.shards, "shard")), \($0.bytes)" }
    copies = dataset.copies.map { Copy(node: $0.node.name, badge: Badge(copy: $0.state)) }
    hasCopies = !copies.isEmpty
    source = dataset.source
    origin = dataset.origin
    added = age(dataset.createdAt, at: now) + " ago"
  }
}

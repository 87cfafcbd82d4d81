import Wire

/// What came from what, for people and for Graphviz.
enum LineageText {
  /// A tree of what came from nothing here, and below each what came from it; what is reached twice is drawn once, and named
  /// where it is met again.
  static func tree(_ lineage: RunLineage) -> String {
    var drawer = Drawer(lineage: lineage)
    let targets = Set(lineage.edges.map(\.to))
    for node in lineage.nodes where !targets.contains(node.id) { drawer.draw(node, edge: nil, lead: "", below: "") }
    return drawer.lines.joined(separator: "\n")
  }

  private struct Drawer {
    let lineage: RunLineage
    var lines: [String] = []
    var drawn: Set<String> = []

    mutating func draw(_ node: RunLineage.Node, edge: RunLineage.Edge?, lead: String, below: String) {
      let isNew = drawn.insert(node.id).inserted
      lines.append(
        lead + LineageText.label(node, edge, isAsked: node.id == "\(lineage.run)") + (isNew ? "" : " (above)"))
      guard isNew else { return }
      let edges = lineage.edges.filter { $0.from == node.id }
      for (index, edge) in edges.enumerated() {
        guard let child = lineage.nodes.first(where: { $0.id == edge.to }) else { continue }
        let isLast = index == edges.count - 1
        draw(child, edge: edge, lead: below + (isLast ? "└─ " : "├─ "), below: below + (isLast ? "   " : "│  "))
      }
    }
  }

  private static func label(_ node: RunLineage.Node, _ edge: RunLineage.Edge?, isAsked: Bool) -> String {
    let name = node.kind == "data" ? "" : "\(node.id) "
    var text = "\(name)\(Printable.line(node.title)) (\(Printable.line(node.detail)))"
    switch edge?.kind {
    case "reproduced": text += ", does it again"
    case "started": text += ", started from it"
    default: break
    }
    if let detail = edge?.detail, !detail.isEmpty { text += ", \(detail)" }
    return isAsked ? text + "  <" : text
  }

  /// A graph in the DOT language.
  static func dot(_ lineage: RunLineage) -> String {
    let shapes = ["data": "cylinder", "run": "box", "checkpoint": "ellipse"]
    var lines = ["digraph lineage {", "  rankdir=LR;"]
    for node in lineage.nodes {
      let name = node.kind == "data" ? node.title : "\(node.id)\n\(node.title)"
      let bold = node.id == "\(lineage.run)" ? ", style=bold" : ""
      lines.append(
        "  \(quoted(node.id)) [shape=\(shapes[node.kind] ?? "box"), label=\(quoted("\(name)\n\(node.detail)"))\(bold)];"
      )
    }
    for edge in lineage.edges {
      let detail = edge.detail.isEmpty ? edge.kind : "\(edge.kind)\n\(edge.detail)"
      lines.append("  \(quoted(edge.from)) -> \(quoted(edge.to)) [label=\(quoted(detail))];")
    }
    return (lines + ["}"]).joined(separator: "\n")
  }

  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case "\n": quoted += "\\n"
      default: quoted.unicodeScalars.append(scalar.properties.generalCategory == .control ? " " : scalar)
      }
    }
    return quoted + "\""
  }
}

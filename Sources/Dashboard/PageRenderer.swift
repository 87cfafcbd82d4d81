import Domain
import Mustache

/// Turns values of the API into pages.
///
/// Pure: the same values give the same text, and no clock is read.
///
/// Whatever comes from outside is escaped. Pages hold no inline script or style, and refer only to addresses below `/`.
public struct PageRenderer: Sendable {
  private let library: MustacheLibrary

  /// Reads the templates that are built in.
  ///
  /// Throws what the template engine throws for a template that is not well-formed: a mistake of this build.
  public init() throws {
    MustacheContentTypes.register(ScalarEscaping(), named: ScalarEscaping.name)
    var templates: [String: MustacheTemplate] = [:]
    for template in Template.allCases {
      let text = "{{% CONTENT_TYPE:\(ScalarEscaping.name)}}" + String(decoding: template.bytes, as: UTF8.self)
      templates[template.rawValue] = try MustacheTemplate(string: text)
    }
    library = MustacheLibrary(templates: templates)
  }

  /// `model` in `template`, which is a whole page.
  func render(_ model: Any, _ template: Template) -> String {
    library.render(model, withTemplate: template.rawValue) ?? ""
  }

  /// `model` in `template`, and that in the layout.
  func page(_ template: Template, _ model: Any, title: String, section: Section?, in frame: Frame) -> String {
    let content = library.render(model, withTemplate: template.rawValue) ?? ""
    let layout = LayoutModel(title: title, section: section, frame: frame, content: content)
    return library.render(layout, withTemplate: Template.layout.rawValue) ?? ""
  }
}

/// The templates that are built in.
///
/// What `rawValue` names is also how templates name each other.
enum Template: String, CaseIterable {
  case layout, overview, queue, leases, nodes, run, runs, events, login, problem, badge, empty, provenance
  case jobname, data, report, compare, group, groups, artifacts

  var bytes: [UInt8] {
    switch self {
    case .layout: PackageResources.layout_mustache
    case .overview: PackageResources.overview_mustache
    case .queue: PackageResources.queue_mustache
    case .leases: PackageResources.leases_mustache
    case .nodes: PackageResources.nodes_mustache
    case .run: PackageResources.run_mustache
    case .runs: PackageResources.runs_mustache
    case .events: PackageResources.events_mustache
    case .login: PackageResources.login_mustache
    case .problem: PackageResources.problem_mustache
    case .badge: PackageResources.badge_mustache
    case .empty: PackageResources.empty_mustache
    case .provenance: PackageResources.provenance_mustache
    case .jobname: PackageResources.jobname_mustache
    case .data: PackageResources.data_mustache
    case .report: PackageResources.report_mustache
    case .compare: PackageResources.compare_mustache
    case .group: PackageResources.group_mustache
    case .groups: PackageResources.groups_mustache
    case .artifacts: PackageResources.artifacts_mustache
    }
  }
}

/// What the layout shows.
private struct LayoutModel {
  struct Link {
    let name: String
    let path: String
    let isCurrent: Bool
  }

  let title: String
  let content: String
  let links: [Link]
  let viewer: Frame.Viewer?
  let epoch: String?
  let serverTime: Moment?

  init(title: String, section: Section?, frame: Frame, content: String) {
    self.title = title
    self.content = content
    links =
      frame.viewer == nil
      ? [] : Section.allCases.map { Link(name: $0.rawValue, path: $0.path, isCurrent: $0 == section) }
    viewer = frame.viewer
    epoch = frame.controllerEpoch.map { "\($0)" }
    serverTime = frame.now.map(Moment.init)
  }
}

/// The files that pages refer to.
public enum Asset: String, CaseIterable, Sendable {
  /// The style sheet.
  case style = "baton.css"
  /// Live updates; pages work without it.
  case script = "baton.js"

  /// Its content.
  public var bytes: [UInt8] {
    switch self {
    case .style: PackageResources.baton_css
    case .script: PackageResources.baton_js
    }
  }

  /// What it is.
  public var contentType: String {
    switch self {
    case .style: "text/css; charset=utf-8"
    case .script: "text/javascript; charset=utf-8"
    }
  }
}

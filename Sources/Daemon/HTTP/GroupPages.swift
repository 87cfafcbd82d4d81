import Dashboard
import Domain
import Hummingbird
import Store
import Wire

/// The pages of groups of jobs.
extension Pages {
  private struct CancelForm: Decodable {
    /// `now` kills; anything else lets jobs save first.
    var how: String
  }

  private static let groupsMost = 50

  func addGroups(to router: Router<BasicRequestContext>, _ renderer: PageRenderer) {
    page(router, "/groups", renderer) { call, frame, now in
      var filter = try GroupRoutes.filter(call)
      let show = try show(call)
      filter.isOver = show.isOver
      let groups = try await GroupRoutes.page(filter, call, of: Self.groupsMost)
      let content = GroupsContent(
        groups: groups.items, show: show, isFirst: filter.before == nil, older: groups.next.map { JobGroupID($0) })
      return renderer.groups(content, at: now, in: frame)
    }
    page(router, "/groups/{group}", renderer) { call, frame, now in
      let group = try await GroupRoutes.find(call)
      let content = GroupContent(
        group: GroupView(group), jobs: try await GroupRoutes.jobs(of: group, call),
        mayCancel: call.principal.role != .viewer)
      return renderer.group(content, at: now, in: frame)
    }
    action(router, "/groups/{group}/cancel", renderer) { call in
      let group = try await GroupRoutes.find(call)
      let buffer = try await call.request.body.collect(upTo: 1 << 10)
      let form: CancelForm
      do {
        form = try URLEncodedFormDecoder().decode(CancelForm.self, from: String(buffer: buffer))
      } catch {
        throw APIFailure(.badRequest, "the form does not say how to end the jobs: open the page and send it from there")
      }
      try await GroupRoutes.cancel(group, now: form.how == "now", call)
      return "/groups/\(group.id.rawValue)"
    }
  }

  private func show(_ call: Call) throws -> GroupsContent.Show {
    guard let text = call.query("show") else { return .all }
    guard let show = GroupsContent.Show(rawValue: text) else {
      let known = GroupsContent.Show.allCases.map(\.rawValue).joined(separator: ", ")
      throw APIFailure(.badRequest, "'show' is one of \(known), not '\(text)'")
    }
    return show
  }
}

import Dashboard
import Domain
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import Store
import Wire

/// The pages for browsers: who looks is taken from the cookie that `/login` sets, or from a bearer token.
struct Pages: Sendable {
  let harness: Harness

  private static let jobsMost = 200
  /// So many leases that are over are listed, and those that the chart shows.
  private static let pastLeases = 200
  private static let eventsMost = 100
  /// As many attempts are in the chart of leases: the newest.
  private static let chartAttemptsMost = 2000

  var services: Services { harness.services }

  /// Adds all of them.
  func add(to router: Router<BasicRequestContext>) {
    let renderer: PageRenderer
    do {
      renderer = try PageRenderer()
    } catch {
      // Built in and tested: without pages the API still serves.
      services.logger.critical("the pages cannot be shown, their templates are broken: \(error)")
      return
    }
    addAssets(to: router)
    addLogin(to: router, renderer)
    addListings(to: router, renderer)
    addGroups(to: router, renderer)
    page(router, "/runs/compare", renderer) { call, frame, now in
      let comparison = try await RunSetRoutes.compare(call)
      var curves: [MetricSeries] = []
      for run in comparison.runs { curves.append(try await .build(run.id, comparison.metric, services)) }
      return renderer.compare(CompareContent(comparison: comparison, curves: curves), at: now, in: frame)
    }
    page(router, "/runs/{run}", renderer) { call, frame, now in
      let content = try await runContent(call)
      return renderer.run(content, at: now, in: frame)
    }
    router.get("/runs/{run}/artifacts/data") { request, context -> Response in
      await answer(request, context, for: .viewer, renderer) { call, _, _ in try await ArtifactRoutes.data(call) }
    }
    addFallback(to: router, renderer)
  }

  private func addListings(to router: Router<BasicRequestContext>, _ renderer: PageRenderer) {
    page(router, "/", renderer) { call, frame, now in
      let store = services.store
      var filter = EventFilter()
      filter.project = call.projectFilter
      let content = OverviewContent(
        jobs: try await JobView.build(store.queue(project: call.projectFilter), services),
        nodes: try await NodeView.build(store.nodes(), for: call.projectFilter, services),
        leases: try await LeaseView.build(store.leases(project: call.projectFilter), services),
        events: try await store.events(filter, limit: 10).map(EventView.init))
      return renderer.overview(content, at: now, in: frame)
    }
    page(router, "/queue", renderer) { call, frame, now in
      let jobs = try await JobView.build(services.store.queue(project: call.projectFilter), services)
      return renderer.queue(jobs, at: now, in: frame)
    }
    page(router, "/leases", renderer) { call, frame, now in
      let store = services.store
      let open = try await LeaseView.build(store.leases(project: call.projectFilter), services)
      let window = try window(call, now) ?? PageRenderer.leaseWindow(open, at: now)
      let records = try await store.leases(project: call.projectFilter, newest: Self.pastLeases, in: window)
      let leases = try await LeaseView.build(records, services)
      let nodes = try await NodeView.build(store.nodes(), for: call.projectFilter, services)
      return renderer.leases(
        leases, nodes: nodes, attempts: try await attemptBars(call, in: window), window: window,
        isWhole: leases.count(where: \.state.isFinal) < Self.pastLeases, at: now, in: frame)
    }
    page(router, "/nodes", renderer) { call, frame, now in
      let nodes = try await NodeView.build(services.store.nodes(), for: call.projectFilter, services)
      return renderer.nodes(nodes, at: now, in: frame)
    }
    page(router, "/data", renderer) { call, frame, now in
      let versions = try await services.store.datasets(project: call.principal.project)
      return renderer.data(try await DatasetView.build(versions, services), at: now, in: frame)
    }
    page(router, "/runs", renderer) { call, frame, now in
      let jobs = try await JobRoutes.page(JobFilter(), call, of: Self.jobsMost)
      let content = RunsContent(jobs: jobs.items, isFirst: call.query("before") == nil, older: jobs.next)
      return renderer.runs(content, at: now, in: frame)
    }
    page(router, "/events", renderer) { call, frame, _ in
      var filter = try StreamRoutes.filter(call)
      let before = try call.number("before", within: 0...Int.max, standard: 0)
      if before > 0 { filter.before = EventID(Int64(before)) }
      let events = try await services.store.events(filter, limit: Self.eventsMost).map(EventView.init)
      let subject = filter.subject.map { "\($0.kind)-\($0.id)" }
      var older: String?
      if events.count == Self.eventsMost, let last = events.last {
        older = "/events?before=\(last.id.rawValue)" + (subject.map { "&subject=\($0)" } ?? "")
      }
      return renderer.events(events, subject: subject, older: older, in: frame)
    }
  }

  // MARK: - How a page is made

  /// A page that needs somebody to be signed in; others are sent to `/login` and come back.
  func page(
    _ router: Router<BasicRequestContext>, _ path: String, _ renderer: PageRenderer,
    _ body: @escaping @Sendable (Call, Frame, Timestamp) async throws -> String
  ) {
    router.get(RouterPath(path)) { request, context -> Response in
      await answer(request, context, for: .viewer, renderer) { Response.html(try await body($0, $1, $2)) }
    }
  }

  /// What a form of a page does, for those who may change things; `body` gives the path to go on to.
  func action(
    _ router: Router<BasicRequestContext>, _ path: String, _ renderer: PageRenderer,
    _ body: @escaping @Sendable (Call) async throws -> String
  ) {
    router.post(RouterPath(path)) { request, context -> Response in
      await answer(request, context, for: .user, renderer) { call, _, _ in
        try Self.requireSameSite(request)
        return .redirect(to: try await body(call))
      }
    }
  }

  private func answer(
    _ request: Request, _ context: BasicRequestContext, for access: Route.Access, _ renderer: PageRenderer,
    _ body: (Call, Frame, Timestamp) async throws -> Response
  ) async -> Response {
    var frame = Frame()
    do {
      let principal = try await harness.authenticate(request, for: access)
      let viewer = Frame.Viewer(user: principal.userName, project: principal.projectName)
      frame.viewer = viewer
      let epoch = try await services.store.controller().epoch.rawValue
      let now = try await services.store.now()
      frame = Frame(viewer: viewer, controllerEpoch: epoch, now: now)
      let call = Call(request: request, context: context, principal: principal, services: services)
      return try await body(call, frame, now).notStored
    } catch {
      let failure = APIFailure(describing: error, logger: services.logger)
      // Nothing comes back to a form.
      if failure.code == .unauthenticated {
        return request.method == .get ? Self.toLogin(from: request) : .redirect(to: "/login").notStored
      }
      return Response.html(renderer.problem(failure, in: frame), status: failure.code.status).notStored
    }
  }

  private func addAssets(to router: Router<BasicRequestContext>) {
    for asset in Asset.allCases {
      let tag = "\"\(Harness.hash(String(decoding: asset.bytes, as: UTF8.self)).prefix(16))\""
      router.get(RouterPath("/assets/\(asset.rawValue)")) { request, _ -> Response in
        var headers: HTTPFields = [.eTag: tag, .cacheControl: "no-cache"]
        if request.headers[.ifNoneMatch] == tag { return Response(status: .notModified, headers: headers) }
        headers[.contentType] = asset.contentType
        return Response(
          status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: asset.bytes)))
      }
    }
  }

  private func addFallback(to router: Router<BasicRequestContext>, _ renderer: PageRenderer) {
    @Sendable func failure(_ request: Request) -> APIFailure {
      APIFailure(.notFound, "there is nothing at '\(request.uri.path)'")
    }
    router.get("\(API.root)/**") { request, _ -> Response in Response.failure(failure(request)) }
    router.get("**") { request, _ -> Response in
      Response.html(renderer.problem(failure(request), in: Frame()), status: .notFound)
    }
  }

  // MARK: - Signing in

  private struct LoginForm: Decodable {
    var token: String
    var next: String?
  }

  private func addLogin(to router: Router<BasicRequestContext>, _ renderer: PageRenderer) {
    router.get("/login") { request, _ -> Response in
      let next = Self.localPath(request.uri.queryParameters["next"].map(String.init))
      return Response.html(renderer.login(problem: nil, next: next)).notStored
    }
    router.post("/login") { request, _ -> Response in
      do {
        try Self.requireSameSite(request)
        let buffer = try await request.body.collect(upTo: 16 << 10)
        let form = try URLEncodedFormDecoder().decode(LoginForm.self, from: String(buffer: buffer))
        let next = Self.localPath(form.next)
        let secret = form.token.trimmingCharacters(in: .whitespacesAndNewlines)
        guard try await services.store.authenticate(secretHash: Harness.hash(secret)) != nil else {
          let problem = "This token is not known here, has expired, or was taken back."
          return Response.html(renderer.login(problem: problem, next: next), status: .unauthorized).notStored
        }
        return try signedIn(secret, to: next)
      } catch is DecodingError {
        let problem = "The form came without a token."
        return Response.html(renderer.login(problem: problem, next: "/"), status: .badRequest).notStored
      } catch {
        let failure = APIFailure(describing: error, logger: services.logger)
        return Response.html(renderer.problem(failure, in: Frame()), status: failure.code.status).notStored
      }
    }
    router.post("/logout") { request, _ -> Response in
      do {
        try Self.requireSameSite(request)
        var response = Response.redirect(to: "/login")
        response.setCookie(try cookie("", maxAge: 0))
        return response
      } catch {
        let failure = APIFailure(describing: error, logger: services.logger)
        return Response.html(renderer.problem(failure, in: Frame()), status: failure.code.status)
      }
    }
  }

  private func signedIn(_ secret: String, to next: String) throws -> Response {
    var response = Response.redirect(to: next)
    response.setCookie(try cookie(secret, maxAge: 30 * 86_400))
    return response.notStored
  }

  /// Only over TLS where people come over TLS; a plain proxy or a loopback address gets it without.
  private func cookie(_ value: String, maxAge: Int) throws -> Cookie {
    let isSecure = services.settings.url?.hasPrefix("https://") ?? false
    return try Cookie.validated(
      name: Harness.cookieName, value: value, maxAge: maxAge, path: "/", secure: isSecure, httpOnly: true,
      sameSite: .strict)
  }

  private static func toLogin(from request: Request) -> Response {
    let here = localPath(request.uri.string)
    let next = here.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "%2F"
    return .redirect(to: here == "/" ? "/login" : "/login?next=\(next)").notStored
  }

  /// `text` where it is a path of this server and nothing else, otherwise `/`.
  ///
  /// Browsers drop tabs and line ends, and read `\` as `/`: with those, or a second slash, it could lead elsewhere.
  static func localPath(_ text: String?) -> String {
    guard let decoded = text?.removingPercentEncoding, let text else { return "/" }
    for candidate in [text, decoded] {
      guard candidate.utf8.first == UInt8(ascii: "/"), !candidate.hasPrefix("//"), !candidate.hasPrefix("/login"),
        candidate.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\\") })
      else { return "/" }
    }
    return text
  }

  /// Refuses a form that another site sends: what a browser says of it, where it says anything.
  private static func requireSameSite(_ request: Request) throws {
    guard let name = HTTPField.Name("Sec-Fetch-Site"), let site = request.headers[name] else { return }
    guard site == "same-origin" || site == "none" else {
      throw APIFailure(.denied, "this form came from another site: open the page and send it from there")
    }
  }

  // MARK: - What pages show

  private func runContent(_ call: Call) async throws -> RunContent {
    let id = try await RunRoutes.find(call, "run")
    let run = try await RunView.build(id, services)
    let metric = call.query("metric") ?? RunContent.mainMetric(of: run.metrics)
    var series: MetricSeries?
    var redone: [Int: Int] = [:]
    if let metric {
      guard run.metrics.isEmpty || run.metrics.contains(where: { $0.metric == metric }) else {
        throw APIFailure(.notFound, "\(id) has no metric '\(metric)'")
      }
      series = try await .build(id, metric, services)
      redone = try await services.store.stepsRedone(of: id.job, metric)
    }
    let small = RunContent.accuracyMetric
    let hasSmall = metric != small && run.metrics.contains { $0.metric == small }
    return RunContent(
      run: run, series: series, accuracy: hasSmall ? try await .build(id, small, services) : nil, redone: redone,
      artifacts: run.attempts.isEmpty ? nil : try await artifacts(of: run))
  }

  private func artifacts(of run: RunView) async throws -> ArtifactContent {
    let glance = await services.artifacts.glance(at: run, in: services.objects)
    return ArtifactContent(
      items: glance.items, isWhole: glance.isWhole, missing: try await MissingArtifacts.all(of: run.id, services.store),
      problem: glance.problem)
  }

  private func attemptBars(_ call: Call, in window: Period) async throws -> [AttemptBar] {
    let store = services.store
    let attempts = try await store.attempts(in: window, project: call.projectFilter, limit: Self.chartAttemptsMost)
    let names = try await store.jobNames(of: Array(Set(attempts.map(\.job))))
    let views = try await AttemptView.build(attempts, services)
    return zip(attempts, views).map { AttemptBar(job: $0.job, jobName: names[$0.job] ?? "", attempt: $1) }
  }

  /// A quarter of `?window=6h` before now, the rest after; nil where it is not asked for.
  private func window(_ call: Call, _ now: Timestamp) throws -> Period? {
    guard let text = call.query("window") else { return nil }
    do {
      let span = try TimeSpan(parsing: text)
      let back = TimeSpan.seconds(span.seconds / 4)
      return Period(start: now - back, end: now + (span - back))
    } catch {
      throw APIFailure(.badRequest, error.description)
    }
  }
}

extension Response {
  /// Not to be kept by anything on the way: it shows what only one person may see.
  var notStored: Response {
    var response = self
    response.headers[.cacheControl] = "no-store"
    return response
  }
}

import Domain
import Hummingbird
import Store
import Wire

extension API {
  /// Every address of the JSON API.
  static let routes: [Route] =
    AdminRoutes.all + LeaseRoutes.all + NodeRoutes.all + DataRoutes.all + DataActionRoutes.all + JobRoutes.all
    + GroupRoutes.all
    + CheckpointRoutes.all
    + RunRoutes.all + CurveRoutes.all + ResumeCheckRoutes.all + RunSetRoutes.all + RunWordRoutes.all + CodeRoutes.all
    + ArtifactRoutes.all
    + StreamRoutes.all

  /// The whole of HTTP: the API, its description, and the pages.
  static func router(_ services: Services) -> Router<BasicRequestContext> {
    let router = Router(context: BasicRequestContext.self)
    let harness = Harness(services: services)
    for route in routes {
      router.on(RouterPath(root + route.path), method: route.method) { request, context in
        await harness.answer(route, request, context)
      }
    }
    router.get("\(root)/openapi.json") { _, _ in
      try Response.json(OpenAPI.document(of: routes))
    }
    Pages(harness: harness).add(to: router)
    return router
  }
}

import Hummingbird

struct Pages: Sendable {
  let harness: Harness

  func add(to router: Router<BasicRequestContext>) {}
}

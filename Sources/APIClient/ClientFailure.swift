public import Wire

/// Why the client has no answer for its caller.
public enum ClientFailure: Error, Sendable, Hashable {
  /// Nothing at `url` took the connection, or it broke before the answer began.
  case unreachable(url: String, reason: String)
  /// The server took the request and did not answer in time.
  case timedOut(url: String, request: String, afterSeconds: Int)
  /// The answer, or a stream, broke off in the middle.
  case interrupted(request: String, reason: String)
  /// The server refused; the request names what was asked.
  case refused(APIFailure, status: Int, request: String)
  /// The answer is not what `docs/api.md` promises: an older or newer server, or not Baton at all.
  case badAnswer(request: String, status: Int, reason: String)
  /// The settings of the client cannot be used; the text says which and why.
  case configuration(String)
  /// A local file that was to be sent cannot be read.
  case unreadableFile(path: String, reason: String)

  /// The refusal, where the server answered with one.
  public var refusal: APIFailure? {
    if case .refused(let failure, _, _) = self { return failure }
    return nil
  }

  /// Whether it is about the way to the server, so that the same request may succeed in a moment.
  public var isConnectionTrouble: Bool {
    switch self {
    case .unreachable, .interrupted, .timedOut: true
    case .refused, .badAnswer, .configuration, .unreadableFile: false
    }
  }
}

extension ClientFailure: CustomStringConvertible {
  /// What was asked, what is wrong, what to do next.
  public var description: String {
    switch self {
    case .unreachable(let url, let reason):
      "cannot reach Baton at \(url) (\(reason)): start a lab with `baton lab up` or the server with `batond serve`, "
        + "or name another server with BATON_URL"
    case .timedOut(let url, let request, let seconds):
      "\(request): Baton at \(url) took the request and did not answer within \(seconds) s; "
        + "`baton admin doctor` tells what it waits for"
    case .interrupted(let request, let reason):
      "\(request): the answer broke off (\(reason)); ask again"
    case .refused(let failure, _, _):
      failure.description
    case .badAnswer(let request, let status, let reason):
      "\(request): the answer (status \(status)) is not one of Baton's (\(reason)): "
        + "check the URL, and that client and server are of one version"
    case .configuration(let problem):
      problem
    case .unreadableFile(let path, let reason):
      "cannot read \(path) (\(reason))"
    }
  }
}

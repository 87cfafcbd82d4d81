import Domain
import Glibc
import Wire

/// The agent as `mpirun` and its daemons know it: in the place of `ssh`, and of each rank.
///
/// Both are told the session's folder first, and find the supervisor by it.
enum MPIVerbs {
  /// In the place of `ssh`; `arguments` are the session, the host, and what a shell on it is to do.
  ///
  /// 0 once a daemon there is asked for.
  static func daemon(_ arguments: [String]) -> Int32 {
    guard arguments.count >= 3 else { return 2 }
    let text = arguments[2...].joined(separator: " ")
    return ask(.daemon(host: arguments[1], shellText: text), arguments[0])
  }

  /// Stands for a rank, which the supervisor starts, until that has ended well.
  ///
  /// Where the rank failed, this goes on until it is killed: `mpirun` would end the others at once, and they could not save.
  static func rank(_ arguments: [String]) -> Int32 {
    let all = ownVariables()
    guard let session = arguments.first, let rank = all["OMPI_COMM_WORLD_RANK"].flatMap(Int.init) else { return 2 }
    return ask(.rank(rank, variables: all.filter { OpenMPI.isFromDaemon($0.key) }), session)
  }

  private static func ask(_ request: MPIRequest, _ session: String) -> Int32 {
    do {
      switch try MPISocket.ask(request, at: session + "/attempt") {
      case .ok: return 0
      case .refused(let why): complain("baton-agent: \(why)")
      }
    } catch {
      complain("baton-agent: the supervisor does not answer: \(error)")
    }
    return 1
  }

  private static func ownVariables() -> [String: String] {
    var found: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
      let text = String(cString: entry)
      if let mark = text.firstIndex(of: "=") { found[String(text[..<mark])] = String(text[text.index(after: mark)...]) }
      next += 1
    }
    return found
  }
}

import Foundation
import Lab
import Testing

/// Where the programs are that are tested.
struct Places {
  /// Folder of `batond` and `baton`: `BATON_BIN`, else where the tests were built.
  let bin: String
  /// Folder of `baton-agent`: `BATON_NODE_BIN`, else `.build-node/release`.
  let nodeBin: String

  /// The repository.
  static let repository = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
  /// Programs that jobs of tests run, on every node under the same path.
  static let programsFolder = repository + "/Tests/SystemTests/Programs"

  /// Throws where a program is missing, with what to do.
  static func find(_ environment: [String: String] = ProcessInfo.processInfo.environment) throws -> Places {
    let built = Bundle.main.executableURL?.deletingLastPathComponent().path ?? repository + "/.build/debug"
    let here = FileManager.default.isExecutableFile(atPath: built + "/batond") ? built : repository + "/.build/debug"
    let places = Places(
      bin: environment["BATON_BIN"] ?? here,
      nodeBin: environment["BATON_NODE_BIN"] ?? repository + "/.build-node/release")
    for program in [places.bin + "/batond", places.bin + "/baton", places.nodeBin + "/baton-agent"]
    where !FileManager.default.isExecutableFile(atPath: program) {
      throw SystemFailure("\(program) is missing: run `make build`, or set BATON_BIN and BATON_NODE_BIN")
    }
    return places
  }

  /// What the lab in `root` starts.
  func programs(root: String) -> LabPrograms {
    LabPrograms(
      binFolder: nodeBin, controller: bin + "/batond", agent: nodeBin + "/baton-agent",
      warden: [bin + "/baton", "lab", "warden", "--lab", root], migrations: Self.repository + "/migrations")
  }
}

/// What programs of jobs wrote down, outside of all nodes.
struct ProgramEvents: Sendable {
  /// One thing that a program did.
  struct Event: Decodable, Sendable {
    var event: String
    var job: Int64
    var attempt: Int
    var rank: Int
    var node: String
    var step: Int
    var resumed: Bool?
  }

  let folder: String

  /// All of it, in the order in which it was written.
  func all() throws -> [Event] {
    guard let data = FileManager.default.contents(atPath: folder + "/events.jsonl") else { return [] }
    return try data.split(separator: UInt8(ascii: "\n")).map { try JSONDecoder().decode(Event.self, from: Data($0)) }
  }

  /// Those of one kind.
  func all(_ event: String) throws -> [Event] { try all().filter { $0.event == event } }

  /// Whether a process holds the lock of that name.
  func isLocked(_ name: String) throws -> Bool {
    let file = open("\(folder)/\(name).lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw SystemFailure("cannot open the lock \(name)") }
    defer { close(file) }
    return flock(file, LOCK_EX | LOCK_NB) != 0
  }
}

/// Lets so many tests work at a time as the machine can bear.
actor Turns {
  static let shared = Turns(2)

  private var free: Int
  private var waiting: [CheckedContinuation<Void, Never>] = []

  init(_ count: Int) { free = count }

  /// Runs `body` when it is its turn.
  nonisolated func hold(_ body: @Sendable () async throws -> Void) async throws {
    await take()
    do {
      try await body()
    } catch {
      await give()
      throw error
    }
    await give()
  }

  private func take() async {
    if free > 0 {
      free -= 1
    } else {
      await withCheckedContinuation { waiting.append($0) }
    }
  }

  private func give() {
    if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
  }
}

/// Ends what hangs.
enum TimeLimit {
  /// Runs `body`, and cancels it after `limit`; then what `body` threw on being cancelled tells what it waited for.
  static func run(_ limit: Duration, _ body: @escaping @Sendable () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        try await body()
        return true
      }
      group.addTask {
        try await Task.sleep(for: limit)
        return false
      }
      let isDone = try await group.next() ?? false
      group.cancelAll()
      if isDone { return }
      while let rest = try await group.next() {
        if rest { throw SystemFailure("it took longer than \(limit)") }
      }
    }
  }
}

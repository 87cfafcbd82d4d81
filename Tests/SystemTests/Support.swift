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
      warden: [bin + "/baton", "lab", "warden", "--lab", root], migrations: Self.repository + "/migrations",
      links: [bin + "/baton", "lab", "links", "--lab", root])
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

/// Lets so many labs work at a time as a machine can bear, whichever process they are of.
///
/// Tests of the same machine wait for each other at files that they lock, so that leases of a few seconds are long
/// enough for each. The kernel takes a lock back from who dies.
actor Turns {
  static let shared = Turns(2)

  private var free: [Int]
  private var waiting: [CheckedContinuation<Int, Never>] = []

  init(_ count: Int) { free = Array(0..<count) }

  /// Runs `body` when it is its turn.
  nonisolated func hold(_ body: @Sendable () async throws -> Void) async throws {
    let place = await take()
    do {
      let lock = try await Self.lock(place)
      defer { close(lock) }
      try await body()
    } catch {
      await give(place)
      throw error
    }
    await give(place)
  }

  private func take() async -> Int {
    if let place = free.popLast() { return place }
    return await withCheckedContinuation { waiting.append($0) }
  }

  private func give(_ place: Int) {
    if waiting.isEmpty { free.append(place) } else { waiting.removeFirst().resume(returning: place) }
  }

  /// The lock of a place, open; waits for the process that has it.
  private static func lock(_ place: Int) async throws -> Int32 {
    let path = "/tmp/baton-system-tests-\(place).lock"
    return try await withCheckedThrowingContinuation { continuation in
      DispatchQueue(label: "turn \(place)").async {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        var result = file < 0 ? -1 : flock(file, LOCK_EX)
        while result != 0, file >= 0, errno == EINTR { result = flock(file, LOCK_EX) }
        if result == 0 { return continuation.resume(returning: file) }
        let reason = String(cString: strerror(errno))
        if file >= 0 { close(file) }
        continuation.resume(throwing: SystemFailure("cannot lock \(path): \(reason)"))
      }
    }
  }
}

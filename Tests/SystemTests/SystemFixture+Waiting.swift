import APIClient
import Domain
import Foundation
import Lab
import TestKit
import Testing
import Wire

/// What a test waits for: something that is told, each time.
extension SystemFixture {
  /// The job once it is as `isWanted`, told by the server's own stream of changes; follows it over broken connections.
  ///
  /// Throws when the job is over and is not so.
  @discardableResult
  func wait(
    _ job: JobID, until what: String, _ isWanted: @escaping @Sendable (JobView) -> Bool
  ) async throws -> JobView {
    var last: JobView?
    while true {
      do {
        for try await view in try await client.watch("\(job)") {
          last = view
          if isWanted(view) { return view }
          if view.state.isFinal { break }
        }
        let view = try await client.job("\(job)")
        if isWanted(view) { return view }
        if view.state.isFinal {
          throw SystemFailure("\(job) is over and not \(what): \(Self.line(view))")
        }
      } catch let failure as ClientFailure where failure.isAbsence {
        try await waiting(for: "\(job) to become \(what), and the server to be back") {
          try await TestTime.beforeAskingAgain()
        }
      } catch is CancellationError {
        throw SystemFailure("\(job) did not become \(what); it is \(last.map(Self.line) ?? "not known")")
      }
    }
  }

  /// The job once it is in one of `states`.
  @discardableResult
  func wait(_ job: JobID, _ states: JobState...) async throws -> JobView {
    try await wait(job, until: states.map(\.rawValue).joined(separator: " or ")) { states.contains($0.state) }
  }

  /// The first event of a program that `isWanted`.
  @discardableResult
  func event(
    _ what: String, _ isWanted: (ProgramEvents.Event) -> Bool
  ) async throws -> ProgramEvents.Event {
    var found: ProgramEvents.Event?
    try await waiting(for: "a program to tell \(what)") {
      try await FileChanges.until(in: [programs.folder]) {
        found = try programs.all().first(where: isWanted)
        return found != nil
      }
    }
    return try #require(found)
  }

  /// Waits until a rank of `attempt` has done `step`.
  func reached(step: Int, attempt: Int = 1, job: JobID? = nil) async throws {
    try await event("step \(step) of attempt \(attempt)") {
      $0.event == "step" && $0.step >= step && $0.attempt == attempt && (job == nil || $0.job == job?.rawValue)
    }
  }

  /// When the lab has taken the node away, whoever asks for it.
  func wiped(_ node: String, times: Int = 1) async throws {
    let log = lab.layout.log(of: "warden")
    try await waiting(for: "\(node) to be wiped") {
      try await FileChanges.until(in: [lab.layout.logs]) {
        let text = try String(contentsOfFile: log, encoding: .utf8)
        return text.components(separatedBy: "\(node) is wiped and answers again").count > times
      }
    }
  }

  /// Waits until an attempt has its supervisor on a node, which writes its journal there as soon as it lives.
  func supervised(on node: LabNode) async throws {
    let folder = try node.description.rootPath + "/attempts"
    try await waiting(for: "a supervisor on \(node.name)") {
      try await FileChanges.until(in: [folder], deep: true) { try supervisor(on: node) != nil }
    }
  }

  /// Waits until an attempt has no supervisor on a node any more.
  func unsupervised(on node: LabNode) async throws {
    while let pid = try supervisor(on: node) {
      try await waiting(for: "the end of the supervisor on \(node.name)") { try await ProcessEnd.wait(pid) }
    }
  }

  /// The supervisor of an attempt on a node, by its number on the machine.
  func supervisor(on node: LabNode) throws -> Int32? {
    try strangers(on: node).first { $0.contains("baton-agent supervise") }.map(number)
  }

  /// Asks the controller to leave, and waits until it has.
  func letControllerLeave() async throws {
    let pid = try #require(try lab.controller.pid, "the controller does not run")
    try lab.controller.signal(SIGTERM)
    try await waiting(for: "the controller to leave by itself") { try await ProcessEnd.wait(pid) }
  }

  /// The number at the beginning of a line of `strangers`.
  func number(of stranger: String) throws -> Int32 {
    try #require(stranger.split(separator: " ").first.flatMap { Int32($0) })
  }

  /// Runs `body`, and says what it waited for where the test took too long.
  func waiting(for what: String, _ body: () async throws -> Void) async throws {
    do {
      try await body()
    } catch is CancellationError {
      throw SystemFailure("this was waited for in vain: \(what)")
    }
  }

  private static func line(_ view: JobView) -> String {
    "\(view.state.rawValue) (\(view.reason)) \(view.reasonDetail ?? "")"
  }
}

extension ClientFailure {
  /// Whether it tells only that the server, or its database, is not there now.
  var isAbsence: Bool { isConnectionTrouble || refusal?.code == .unavailable }
}

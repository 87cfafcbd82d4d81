import APIClient
import ArgumentParser
import Domain
import Foundation
import Testing
import Wire

@testable import Commands

@Suite struct ExitStatusTests {
  @Test(
    arguments: [
      (APIFailure.Code.badRequest, 65), (.badJobFile, 65), (.tooLarge, 65), (.unauthenticated, 77), (.denied, 77),
      (.notFound, 65),
      (.conflict, 73), (.wrongState, 75), (.unavailable, 75), (.internal, 70), (.unknown, 70),
    ] as [(APIFailure.Code, Int32)]) func followsTheCodeOfARefusal(_ code: APIFailure.Code, _ status: Int32)
  {
    let failure = ClientFailure.refused(APIFailure(code, "no"), status: 400, request: "GET /jobs")
    #expect(BatonProgram.outcome(of: failure).0?.rawValue == status)
    #expect(BatonProgram.outcome(of: failure).1 == "no")
  }

  @Test func coversEveryCodeOfARefusal() {
    #expect(APIFailure.Code.allCases.count == 11)
  }

  @Test func tellsOwnFailuresApart() {
    #expect(ExitStatus(.unreachable(url: "http://x", reason: "r")) == .unreachable)
    #expect(ExitStatus(.timedOut(url: "http://x", request: "GET /x", afterSeconds: 1)) == .unreachable)
    #expect(ExitStatus(.interrupted(request: "GET /x", reason: "r")) == .unreachable)
    #expect(ExitStatus(.badAnswer(request: "GET /x", status: 200, reason: "r")) == .internalError)
    #expect(ExitStatus(.configuration("c")) == .configuration)
    #expect(ExitStatus(.unreadableFile(path: "p", reason: "r")) == .badInput)
  }

  @Test(
    arguments: [
      (JobState.completed, "", nil, 0), (.failed, "ProgramFailed", 10, 100), (.failed, "ProgramFailed", nil, 100),
      (.failed, "LeaseEnded", nil, 105), (.failed, "LeaseEnded", 10, 100), (.timeout, "TimeLimit", nil, 100),
      (.cancelled, "Cancelled", nil, 103), (.leaseWait, "NoLease", 10, 104), (.running, "", nil, 101),
      (.pending, "NoLease", nil, 101),
    ] as [(JobState, String, Int?, Int32)]) func saysHowAFollowedJobStands(
      _ state: JobState, _ reason: String, _ checkpoint: Int?, _ status: Int32
    )
  {
    #expect(ExitStatus(following: Samples.job(state, reason: reason, checkpoint: checkpoint)).rawValue == status)
  }

  @Test func usageIsArgumentParsersOwnStatus() throws {
    let error = #expect(throws: (any Error).self) { try Baton.parseAsRoot(["lease", "create", "--nodes", "x"]) }
    #expect(Baton.exitCode(for: try #require(error)).rawValue == ExitStatus.usage.rawValue)
    #expect(BatonProgram.outcome(of: try #require(error)).0 == nil)
  }

  @Test func helpPrintsTheTable() {
    let help = Baton.helpMessage(for: ExitCodes.self, columns: 200)
    for status in ExitStatus.allCases { #expect(help.contains("\(status.rawValue)  \(status.meaning)")) }
  }

  @Test func documentationHasEveryStatus() throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../docs/exit-codes.md")
    let text = try String(contentsOf: file, encoding: .utf8)
    for status in ExitStatus.allCases {
      #expect(text.contains("| \(status.rawValue) | \(status.meaning) |"), "docs/exit-codes.md lacks \(status)")
    }
  }
}

import Domain
import Foundation
import Testing
import Wire

@testable import Commands

@Suite struct GroupTextTests {
  private func member(_ number: Int, _ state: JobState, reason: String = "") -> JobView {
    var job = Samples.job(state, reason: reason)
    job.id = JobID(Int64(number))
    job.member = GroupMemberView(group: JobGroupID(3), index: number, values: [:])
    return job
  }

  @Test func membersThatWaitAlikeAreOneRow() {
    let running = member(1, .running)
    let waiting = (2...6).map { member($0, .pending, reason: "GroupLimit") }
    let other = member(7, .pending, reason: "Priority")
    let single = Samples.job(.pending)
    #expect(
      GroupText.rows([running, single] + waiting + [other])
        == [.job(running), .job(single), .job(waiting[0]), .more(waiting[0], 4), .job(other)])
    #expect(GroupText.rows(Array(waiting.prefix(3))) == waiting.prefix(3).map(GroupText.Row.job))
  }

  @Test func aGroupIsOneLine() {
    let group = GroupView(
      id: JobGroupID(3), name: "sweep", size: 3, atMost: 2, submittedAt: Samples.now,
      states: ["RUNNING": 1, "PENDING": 2], jobs: [JobID(4), JobID(5), JobID(6)])
    #expect(GroupText.line(group) == "group-3 'sweep': 3 jobs, at most 2 at once: 2 PENDING, 1 RUNNING")
    #expect(GroupText.submitted(group).contains("job-4 to job-6"))
  }

  @Test func groupsAreATable() throws {
    let groups = [
      GroupView(
        id: JobGroupID(3), name: "sweep", size: 4, atMost: 2, submittedAt: Samples.now,
        states: ["FAILED": 1, "RUNNING": 2, "COMPLETED": 1], jobs: []),
      GroupView(
        id: JobGroupID(2), name: "all\u{1B}[31m", size: 1, atMost: nil, submittedAt: Samples.now,
        states: ["COMPLETED": 1],
        jobs: []),
    ]
    let times = TimeText(now: Samples.now, zone: try #require(TimeZone(identifier: "UTC")))
    let lines = GroupText.table(groups, times).rendered(width: nil).split(separator: "\n")
    try #require(lines.count == 3)
    for words in ["group-3", "sweep", "2/4", "2 RUNNING, 1 COMPLETED, 1 FAILED"] {
      #expect(lines[1].contains(words), "\(lines[1])")
    }
    #expect(lines[2].contains("1/1") && !lines[2].contains("\u{1B}"), "\(lines[2])")
  }

  @Test func onlyALineOfItsOwnMakesAGroup() {
    #expect(Submit.makesGroup("name: a\narray: 1-2\n") && Submit.makesGroup("matrix:\n  a: [1]\n"))
    #expect(!Submit.makesGroup("name: a\nenv:\n  array: 1\n"))
  }
}

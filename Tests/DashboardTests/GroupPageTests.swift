import Domain
import Testing
import Wire

@testable import Dashboard

struct GroupPageTests {
  private func page(_ content: GroupContent) throws -> String {
    try PageRenderer().group(content, at: Fixture.now, in: Fixture.frame)
  }

  @Test func countsStatesAndShowsWhatEachJobHas() throws {
    let html = try page(Fixture.groupContent)
    for words in [
      "<h1><bdi>sweep</bdi> <span class=\"count\">6 jobs</span></h1>", "<dd>3 of 6</dd>", "at most 1 at once",
      "2 PENDING, 1 RUNNING, 2 COMPLETED, 1 FAILED", "<th class=\"value\">batch</th><th class=\"value\">lr</th>",
      "<td class=\"value\" data-label=\"batch\">64</td>", "href=\"/runs/41\"", "GroupLimit",
      "href=\"/runs/compare?run=40&amp;run=41",
    ] {
      #expect(html.contains(words), "\(words)")
    }
  }

  @Test func endsWhatIsNotOverForThoseWhoMay() throws {
    let html = try page(Fixture.groupContent)
    #expect(html.contains("action=\"/groups/3/cancel\"") && html.contains("Cancel what is not over: 3 jobs"))
    var looking = Fixture.groupContent
    looking.mayCancel = false
    #expect(!(try page(looking)).contains("/cancel"))
    let over = try page(Fixture.overGroupContent)
    #expect(!over.contains("/cancel") && over.contains("20 of 20"))
    // More than can be compared at once.
    #expect(!over.contains("/runs/compare"))
  }

  @Test func aJobLeadsToItsGroup() throws {
    let renderer = try PageRenderer()
    let jobs = Fixture.groupContent.jobs
    let link = "<a href=\"/groups/3\">group-3</a>"
    let queue = try PageRenderer().queue(jobs + [Fixture.overGroupContent.jobs[7]], at: Fixture.now, in: Fixture.frame)
    #expect(queue.contains(link + " · batch 64, lr 0.1") && queue.contains("group-4</a> · index 7"))
    var run = Fixture.run
    run.job = jobs[1]
    let page = renderer.run(RunContent(run: run, series: nil), at: Fixture.now, in: Fixture.frame)
    #expect(page.contains("<dt>Group</dt><dd>" + link + "<small>batch 64, lr 0.1</small>"))
    #expect(!renderer.run(Fixture.runContent, at: Fixture.now, in: Fixture.frame).contains("<dt>Group</dt>"))
  }
}

struct GroupsPageTests {
  private func page(_ content: GroupsContent) throws -> String {
    try PageRenderer().groups(content, at: Fixture.now, in: Fixture.frame)
  }

  @Test func listsEachGroupWithItsStates() throws {
    let html = try page(Fixture.groupsContent)
    for words in [
      "<a href=\"/groups/3\">sweep</a><small>group-3 \u{B7} <bdi>vision</bdi>/<bdi>mira</bdi></small>",
      "aria-label=\"2 PENDING, 1 RUNNING, 2 COMPLETED, 1 FAILED\"",
      "<small>2 PENDING, 1 RUNNING, 2 COMPLETED, 1 FAILED</small>", "data-label=\"Over\">3 of 6</td>",
      "data-label=\"Over\">714 of 1\u{202F}000</td>", "data-label=\"At most\">1</td>",
      "data-label=\"At most\">\u{2013}</td>", "<a href=\"/groups?before=2\">Older groups</a>",
      "<a href=\"/groups\" aria-current=\"true\">All</a>",
    ] {
      #expect(html.contains(words), "\(words)")
    }
  }

  @Test func theNextPageShowsTheSameKind() throws {
    var content = Fixture.groupsContent
    content.show = .over
    #expect(try page(content).contains("<a href=\"/groups?show=over&amp;before=2\">Older groups</a>"))
    content.older = nil
    #expect(!(try page(content)).contains("Older groups"))
  }

  @Test func saysWhyThereIsNone() throws {
    #expect(try page(GroupsContent(groups: [], show: .all)).contains("baton submit sweep.yaml"))
    #expect(try page(GroupsContent(groups: [], show: .live)).contains("All groups are over"))
    #expect(try page(GroupsContent(groups: [], show: .over)).contains("No group is over"))
    let last = try page(GroupsContent(groups: [], show: .all, isFirst: false))
    #expect(last.contains("No older group") && !last.contains("baton submit"))
  }

  @Test func runsComePageByPage() throws {
    let renderer = try PageRenderer()
    let page = renderer.runs(
      RunsContent(jobs: Fixture.overGroupContent.jobs, isFirst: false, older: 17), at: Fixture.now, in: Fixture.frame)
    #expect(page.contains("<a href=\"/runs?before=17\">Older runs</a>"))
    #expect(page.contains("<a href=\"/runs\">The newest runs</a>") && page.contains("<h1>Runs <a"))
    let first = renderer.runs(
      RunsContent(jobs: Fixture.overGroupContent.jobs), at: Fixture.now, in: Fixture.frame)
    #expect(!first.contains("Older runs") && !first.contains("The newest runs") && first.contains("<h1>Runs <span"))
    let last = renderer.runs(RunsContent(jobs: [], isFirst: false), at: Fixture.now, in: Fixture.frame)
    #expect(last.contains("No older run"))
  }

  @Test func listsOfJobsLeadToThem() throws {
    let renderer = try PageRenderer()
    for html in [
      renderer.queue([], at: Fixture.now, in: Fixture.frame),
      renderer.runs(RunsContent(jobs: []), at: Fixture.now, in: Fixture.frame),
    ] {
      #expect(html.contains("<a class=\"more\" href=\"/groups\">Groups of jobs</a>"))
    }
    let group = renderer.group(Fixture.groupContent, at: Fixture.now, in: Fixture.frame)
    #expect(group.contains("<a href=\"/groups\">Groups</a> / group-3"))
  }
}

struct NoCheckpointTests {
  private func page(_ state: JobState, savesByItself: Bool? = nil) throws -> String {
    var content = Fixture.emptyRunContent
    content.run.job.state = state
    content.run.job.savesByItself = savesByItself
    return try PageRenderer().run(content, at: Fixture.now, in: Fixture.frame)
  }

  @Test(arguments: [JobState.completed, .failed, .timeout, .cancelled])
  func nobodyIsToldToAskARunThatIsOver(_ state: JobState) throws {
    for savesByItself in [nil, true] {
      let html = try page(state, savesByItself: savesByItself)
      #expect(html.contains("The run is over without one.") && !html.contains("baton checkpoint"))
      #expect(!html.contains("No checkpoint yet") && !html.contains("<dt>Saves</dt>"))
    }
  }

  @Test func aProgramThatCannotBeAskedSaysSo() throws {
    let html = try page(.running, savesByItself: true)
    #expect(html.contains("saves by itself and cannot be asked to") && !html.contains("baton checkpoint"))
    #expect(html.contains("<dt>Saves</dt><dd>by itself: it cannot be asked to</dd>"))
  }

  @Test func othersAreAskedWhileTheyRun() throws {
    #expect(try page(.running).contains("Ask it for one:") && page(.running).contains("baton checkpoint job-19"))
    #expect(try page(.pending).contains("While it runs it can be asked for one:"))
    #expect(!(try page(.running)).contains("<dt>Saves</dt>"))
  }

  @Test func theLastSaveIsCalledWhatItIs() throws {
    var content = Fixture.runContent
    content.run.job.attempt?.lastSave = LastSaveForecast(at: Fixture.now, doneBy: nil)
    content.run.job.loss = Loss(steps: 5, time: .minutes(1), gpuTime: .minutes(1))
    let asked = try PageRenderer().run(content, at: Fixture.now, in: Fixture.frame)
    #expect(asked.contains("<dt>Last save</dt>") && asked.contains("<dt>Lost if it ended now</dt>"))
    content.run.job.savesByItself = true
    let html = try PageRenderer().run(content, at: Fixture.now, in: Fixture.frame)
    #expect(html.contains("<dt>Told to leave</dt>") && html.contains("<dt>Lost when it ends</dt>"))
  }
}

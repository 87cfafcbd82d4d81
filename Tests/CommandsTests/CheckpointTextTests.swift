import Domain
import Foundation
import Testing
import Wire

@testable import Commands

@Suite struct CheckpointTextTests {
  private let times = TimeText(now: Samples.now, zone: .gmt)

  private func checkpoint(
    _ id: Int64, _ state: CheckpointState = .durable, latest: Bool = false, pins: [PinView] = [],
    verified: Timestamp? = nil
  ) -> CheckpointView {
    CheckpointView(
      id: CheckpointID(id), job: JobID(17), attemptNumber: 2, step: Int(id) * 100, state: state, bytes: .mebibytes(20),
      prefix: "runs/17/", createdAt: Samples.now - .minutes(10),
      durableAt: state == .durable ? Samples.now - .minutes(9) : nil, isFinal: false, isLatest: latest,
      verifiedAt: verified, pins: pins)
  }

  private func pin(run: RunID? = nil, note: String = "") -> PinView {
    PinView(run: run, by: "user:ada", note: note, since: Samples.now - .minutes(2))
  }

  @Test func listsWhatIsKeptAndWhy() {
    let table = CheckpointText.table(
      [
        checkpoint(1, pins: [pin(note: "figure 3")]), checkpoint(2, .corrupt),
        checkpoint(3, latest: true, pins: [pin(run: RunID(18))], verified: Samples.now - .minutes(1)),
      ], times
    ).rendered(width: nil)
    let lines = table.split(separator: "\n")
    #expect(lines[1].hasPrefix("checkpoint-1   100  DURABLE"))
    #expect(lines[1].hasSuffix("9m ago   9m ago     pinned: figure 3"))
    #expect(lines[2].contains("CORRUPT"))
    #expect(lines[3].hasSuffix("1m ago     latest, pinned for run-18"))
  }

  @Test func tellsWhoPinnedIt() {
    let text = CheckpointText.facts(checkpoint(1, pins: [pin(note: "figure 3\u{1B}[2J")]), times).rendered()
    #expect(text.contains("user:ada"))
    #expect(text.contains("figure 3"))
    #expect(!text.contains("\u{1B}"))
  }

  @Test func tellsWhatAReadingBackHasShown() {
    #expect(CheckpointText.verdict(checkpoint(1), fault: nil).hasSuffix("read back, and equal to its manifest"))
    #expect(
      CheckpointText.verdict(checkpoint(1, .corrupt), fault: "its object x is gone")
        == "checkpoint-1 of job-17, step 100, 20.0 MiB: CORRUPT: its object x is gone")
  }

  @Test func tellsWhatWasRemovedAndWhatNot() {
    var report = PruneReport(
      pruned: [checkpoint(1), checkpoint(2)], freed: .mebibytes(40), dryRun: true,
      refused: ["checkpoint-3 is kept: the job would resume from it, or does"])
    #expect(
      CheckpointText.pruned(report) == """
        would remove checkpoint-1 of job-17, step 100, 20.0 MiB
        would remove checkpoint-2 of job-17, step 200, 20.0 MiB
        would remove 2 checkpoints, 40.0 MiB
        checkpoint-3 is kept: the job would resume from it, or does
        """)
    report = PruneReport(pruned: [], freed: .zero, dryRun: false, refused: [])
    #expect(CheckpointText.pruned(report) == "nothing to remove")
  }

  @Test func nobodyIsToldToAskWhatCannotBeAsked() {
    var job = Samples.job(.running)
    #expect(CheckpointText.none(of: job).contains("`baton checkpoint \(job.id)`"))
    #expect(!JobText.facts(job, times).rendered().contains("saves"))
    job.savesByItself = true
    #expect(
      CheckpointText.none(of: job) == "no checkpoint yet: its program saves by itself and cannot be asked to")
    #expect(JobText.facts(job, times).rendered().contains("by itself: it cannot be asked to"))
    job = Samples.job(.completed)
    job.savesByItself = true
    #expect(CheckpointText.none(of: job) == "no checkpoint: \(job.id) is over")
    #expect(!JobText.facts(job, times).rendered().contains("by itself"))
  }

  @Test func theQueueTellsWhatWouldBeLost() {
    var job = Samples.job(.running, checkpoint: 500, lastStep: 620)
    job.loss = Loss(steps: 120, time: .minutes(15), gpuTime: .minutes(30))
    let queue = JobText.queue([job, Samples.job(.pending)], times).rendered(width: nil).split(separator: "\n")
    #expect(queue[0].hasSuffix("LOSS"))
    #expect(queue[1].hasSuffix("120 steps, 0.5 GPU-h"))
    #expect(queue[2].hasSuffix("-"))
    #expect(JobText.facts(job, times).rendered().contains("lost if it ended now"))
  }
}

import Domain
import TestKit
import Testing

@Suite struct AmountAndNameTests {
  @Test(
    arguments: [
      ("0", 0), ("500", 500), ("500B", 500), ("10KiB", 10_240), ("10kib", 10_240), ("1.5GB", 1_500_000_000),
      ("2TiB", 2_199_023_255_552), ("2 TiB", 2_199_023_255_552), ("0.5MiB", 524_288), ("1KB", 1000),
    ] as [(String, Int64)])
  func readsAnAmount(text: String, bytes: Int64) {
    #expect(ByteCount(parsing: text)?.bytes == bytes)
  }

  @Test(arguments: [
    "", "B", "-1", "1e5", "1.2.3", "1G", "1 ", "1  GB", " 1", "1 GB ", ".", "٣GB", "99999999TiB", "1GBs",
  ])
  func refusesWhatIsNoAmount(text: String) { #expect(ByteCount(parsing: text) == nil) }

  @Test(
    arguments: [
      (0, "0 B"), (512, "512 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (1536, "1.50 KiB"), (10_230, "9.99 KiB"),
      (10_239, "10.0 KiB"), (102_390, "100 KiB"), (1_048_575, "1.00 MiB"), (1_047_000, "1022 KiB"),
      (1_610_612_736, "1.50 GiB"), (1_101_004_800, "1.03 GiB"), (.max, "8.00 EiB"), (-5, "0 B"),
    ] as [(Int64, String)])
  func writesThreeDigits(bytes: Int64, text: String) { #expect(ByteCount(bytes).description == text) }

  @Test(arguments: UInt64(0)..<200)
  func readsWhatItWritesToThreeDigits(seed: UInt64) throws {
    var dice = SeededGenerator(seed: seed)
    let amount = ByteCount(Int64(1) << Int64(dice.int(0...49)) + Int64(dice.int(0...1000)))
    let read = try #require(ByteCount(parsing: amount.description))
    #expect(abs(Double(read.bytes - amount.bytes)) <= Double(amount.bytes) * 0.0051)
  }

  @Test func neverGoesBelowNothingOrPastTheEnd() {
    #expect(ByteCount(1) - ByteCount(2) == .zero)
    #expect(ByteCount(.max) + ByteCount(1) == ByteCount(.max))
  }

  @Test func readsAnIDWithOrWithoutItsPrefix() {
    #expect(JobID(text: "17") == JobID(17))
    #expect(JobID(text: "job-17") == JobID(17))
    #expect(JobID(17).description == "job-17")
    #expect(DatasetVersionID(3).description == "dataset-3")
    #expect(JobID(17).run.description == "run-17" && JobID(17).run.job == JobID(17))
  }

  @Test(
    arguments: [
      "", "job-", "job", "lease-17", "Job-17", "job-job-17", "0", "job-0", "-1", "job--1", "+1", " 1", "1 ", "1.0",
      "0x1",
      "٣", "9223372036854775808", "1\u{301}",
    ])
  func refusesWhatIsNoID(text: String) { #expect(JobID(text: text) == nil) }

  @Test func keepsTheOrderOfNumbers() { #expect([JobID(10), JobID(9), JobID(100)].min() == JobID(9)) }
}

@Suite struct RefusalTests {
  @Test(
    arguments: [
      (Refusal.leaseUnknown(name: "exp7"), ["exp7"]),
      (.leaseNotStarted(lease: LeaseID(3), startsIn: .hours(2)), ["lease-3", "2h"]),
      (.leaseEnding(lease: LeaseID(3)), ["lease-3"]),
      (.leaseTooShort(lease: LeaseID(3), needed: .minutes(61), remaining: .minutes(59)), ["lease-3", "1h 1m", "59m"]),
      (.tooManyNodes(wanted: 8, most: 5), ["8", "5"]), (.nodesBusy(wanted: 8, free: 5), ["8", "5"]),
      (.nodesUnavailable(wanted: 8, usable: 5), ["8", "5"]),
      (.diskTooSmall(node: NodeID(6), needed: .gibibytes(9), room: .gibibytes(7)), ["node-6", "9.00 GiB", "7.00 GiB"]),
      (.tooFewGPUs(wanted: 8, most: 4), ["8", "4"]), (.behind(job: JobID(12)), ["job-12"]), (.held, ["release"]),
      (.noLease, ["baton lease create"]),
    ])
  func namesTheNumbersThatDecided(refusal: Refusal, words: [String]) {
    for word in words { #expect(refusal.description.contains(word), "\(refusal)") }
    #expect(refusal.reason.allSatisfy { $0.isASCII && $0.isLetter })
  }

  @Test func hasAWordOfItsOwnForEachReason() {
    let all: [Refusal] = [
      .noLease, .leaseUnknown(name: ""), .leaseNotStarted(lease: LeaseID(1), startsIn: .zero),
      .leaseEnding(lease: LeaseID(1)),
      .leaseTooShort(lease: LeaseID(1), needed: .zero, remaining: .zero), .tooManyNodes(wanted: 1, most: 0),
      .nodesBusy(wanted: 1, free: 0), .nodesUnavailable(wanted: 1, usable: 0),
      .diskTooSmall(node: NodeID(1), needed: .zero, room: .zero), .tooFewGPUs(wanted: 1, most: 0),
      .behind(job: JobID(1)), .held,
    ]
    #expect(Set(all.map(\.reason)).count == all.count)
  }
}

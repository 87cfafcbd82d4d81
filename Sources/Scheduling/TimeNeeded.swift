internal import Domain

/// How long a lease has to last so that a job gets something saved in it, in the parts that make it up.
struct TimeNeeded {
  /// The addends, in the order in which they pass; those of no length are there too, except `minimum`.
  let parts: [Explanation.Part]
  /// Their sum.
  let total: TimeSpan

  /// What `job` needs on a node that lacks `missing` of its data.
  ///
  /// `minimum` is what `time.min` adds to the other parts, so that the sum is never less than `time.min`.
  init(_ job: WaitingJob, missing: ByteCount) {
    let needs = job.needs
    var parts = [
      Explanation.Part(name: "staging", length: needs.transferTime(of: missing)),
      Explanation.Part(name: "launch", length: needs.launch),
      Explanation.Part(name: "restore", length: needs.transferTime(of: needs.restore)),
      Explanation.Part(name: "checkpoint interval", length: job.spec.checkpoint.every ?? .zero),
      Explanation.Part(name: "last save", length: needs.lastSave),
    ]
    var total = parts.reduce(.zero) { $0 + $1.length }
    if let minimum = job.spec.time.minimum, minimum > total {
      parts.append(Explanation.Part(name: "minimum", length: minimum - total))
      total = minimum
    }
    self.parts = parts
    self.total = total
  }
}

extension StartNeeds {
  /// How long `amount` takes to come to a node; without end where the rate is not positive.
  func transferTime(of amount: ByteCount) -> TimeSpan {
    guard amount > .zero else { return .zero }
    guard stagingRate > 0 else { return .seconds(Double.infinity) }
    return .seconds(Double(amount.bytes) / stagingRate)
  }
}

extension WaitingJob {
  /// The size of all data sets that it reads.
  var allData: ByteCount { needs.data.values.reduce(.zero, +) }

  /// The data set versions that it reads.
  var versions: Set<DatasetVersionID> { Set(needs.data.keys) }

  /// What of its data is not on a node that holds `replicas`.
  func missingData(besides replicas: Set<DatasetVersionID>) -> ByteCount {
    needs.data.reduce(.zero) { replicas.contains($1.key) ? $0 : $0 + $1.value }
  }

  /// What Baton itself writes on a node for an attempt: orders, journal, logs.
  ///
  /// Without it a job that needs nothing would be sent to a disk that is full, where not even its order can be kept.
  static let ownFiles = ByteCount.mebibytes(16)

  /// Room that it takes on a node to which `missing` has to be brought.
  func diskNeeded(missing: ByteCount) -> ByteCount {
    missing + needs.restore + needs.checkpointRoom + spec.resources.localDisk + Self.ownFiles
  }
}

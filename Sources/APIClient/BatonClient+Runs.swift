public import Domain
public import Wire

extension BatonClient {
  /// The jobs of runs, newest first: those that are over or are not, and have the word `tag`, where that is given.
  ///
  /// They are the first `limit` before the run `before`, or as many as the server gives at a time: `next` is what to give as
  /// `before` for the next ones.
  public func runs(
    over: Bool? = nil, tag: String? = nil, before: Int64? = nil, limit: Int? = nil
  ) async throws -> Listing<JobView> {
    try await answer(
      .get(
        "runs",
        query: [
          ("over", over.map { "\($0)" }), ("tag", tag), ("before", before.map { "\($0)" }),
          ("limit", limit.map { "\($0)" }),
        ]))
  }

  /// The whole history of a job.
  public func run(_ run: String) async throws -> RunView { try await answer(.get("runs", run)) }

  /// The values of a metric at steps greater than `after`, none left out.
  ///
  /// They are the first `limit`, or as many as the server gives at a time: `next` says whether there are more, and
  /// `everyValue` brings all.
  public func metrics(
    _ run: String, _ metric: String, after: Int? = nil, limit: Int? = nil
  ) async throws -> MetricSeries {
    try await answer(
      .get(
        "runs", run, "metrics", metric,
        query: [("exact", "true"), ("after", after.map(String.init)), ("limit", limit.map(String.init))]))
  }

  /// A curve from step `from` to step `to`, thinned out to about `limit` points where it has more; without `limit`, to
  /// as many as a screen can show.
  public func curve(
    _ run: String, _ metric: String, from: Int? = nil, to: Int? = nil, limit: Int? = nil
  ) async throws -> MetricSeries {
    try await answer(
      .get(
        "runs", run, "metrics", metric,
        query: [("from", from.map(String.init)), ("to", to.map(String.init)), ("limit", limit.map(String.init))]))
  }

  /// Every value of a curve from step `from` to step `to`, handed out part by part, in order of step.
  ///
  /// `next` of a part says whether another follows, `total` of the first how many values there are.
  public func everyValue(
    _ run: String, _ metric: String, from: Int? = nil, to: Int? = nil, _ take: (MetricSeries) async throws -> Void
  ) async throws {
    var from = from
    repeat {
      let part: MetricSeries = try await answer(
        .get(
          "runs", run, "metrics", metric,
          query: [("exact", "true"), ("from", from.map(String.init)), ("to", to.map(String.init))]))
      try await take(part)
      from = part.next
    } while from != nil
  }

  /// What left a curve from step `from` to step `to`, handed out part by part, in order of step.
  public func archivedValues(
    _ run: String, _ metric: String, from: Int? = nil, to: Int? = nil, _ take: (ArchivedSeries) async throws -> Void
  ) async throws {
    var from = from
    repeat {
      let part: ArchivedSeries = try await answer(
        .get(
          "runs", run, "metrics", metric, "archived",
          query: [("from", from.map(String.init)), ("to", to.map(String.init))]))
      try await take(part)
      from = part.next
    } while from != nil
  }

  /// Compares two runs by one metric, bit for bit.
  public func compare(_ run: String, _ other: String, metric: String? = nil) async throws -> RunComparison {
    try await answer(.get("runs", run, "compare", other, query: [("metric", metric)], answerSeconds: 3600))
  }

  /// Looks after the checkpoints of all jobs: what `cron` calls.
  ///
  /// - Parameter bytesMost: how much of the store is read back; nil leaves that to the server.
  public func sweep(bytesMost: ByteCount? = nil) async throws -> SweepReport {
    try await answer(
      .post(
        "sweep", query: [("read", bytesMost.map { String($0.bytes) })], isRepeatable: true, answerSeconds: 6 * 3600))
  }

  /// Lines of the audit log with ids greater than `after`, oldest first.
  public func events(
    after: EventID? = nil, limit: Int? = nil, subject: String? = nil
  ) async throws -> Listing<EventView> {
    try await answer(
      .get(
        "events",
        query: [
          ("after", after.map { String($0.rawValue) }), ("limit", limit.map(String.init)), ("subject", subject),
        ]))
  }

  /// Lines of the audit log as they are written, from now on.
  ///
  /// With `after`, the id of the last line that came, from behind that one on: after a cut connection nothing is
  /// missing and nothing comes twice.
  public func eventStream(subject: String? = nil, after: String? = nil) async throws -> EventStream<EventView> {
    let query = [("subject", subject), ("after", after)]
    return EventStream(chunks: try await stream(.get("events", "stream", query: query)), name: "event")
  }

  /// What the server finds wrong with itself.
  public func doctor() async throws -> DoctorReport { try await answer(.get("admin", "doctor", answerSeconds: 3600)) }
}

import ArgumentParser
import Domain
import Foundation
import Lab
import Postgres
import Store

/// `baton-bench metrics`: how fast values of a long run come in, and how soon a curve of them is drawn.
struct MetricsBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "metrics",
    abstract: "Take in millions of values beside plain COPY, and plot a curve of millions beside counting it.")

  @Option(help: "How many values in all.")
  var points = 10_000_000

  @Option(help: "How many values come at a time, as from a node that is behind.")
  var batch = 4000

  @Option(help: "How often the curve is plotted.")
  var plots = 10

  @OptionGroup var options: BenchOptions

  func validate() throws {
    guard points >= 100_000, batch > 0, plots > 0 else { throw ValidationError("--points is at least 100000") }
  }

  func run() async throws {
    let figures = try await BenchLab.with("metrics", options, nodes: 1, hasController: false) { bench in
      let pool = PostgresPool(try bench.lab.postgres.conninfo, options: .init(statementTimeout: .seconds(600)))
      defer { Task { await pool.close() } }
      let store = Store(pool)
      _ = try await store.migrate(from: .directory(BenchOptions.absolute(options.migrations)))
      let run = try await BenchRun(pool, store)
      let measure = MetricsMeasure(bench: bench, pool: pool, store: store, run: run, points: points, batch: batch)
      return try await measure.ingest() + measure.plot(times: plots)
    }
    try BenchResult(name: "metrics", machine: Machine.text(options), figures: figures).publish(to: options.results)
  }
}

/// A run with one attempt, in a database of its own.
struct BenchRun: Sendable {
  let epoch: ControllerEpoch
  let attempt: AttemptRecord
  let node: NodeID

  init(_ pool: PostgresPool, _ store: Store) async throws {
    let actor = Actor.user("bench")
    guard let epoch = try await store.takeControl(holder: "bench", patience: .seconds(60)).value else {
      throw BenchFailure("the database has another controller")
    }
    let node = try await store.addNode(
      NewNode(
        name: "n1", address: "127.0.1.1", sshUser: "cc", hostKey: "ssh-ed25519 AAAA", rootPath: "/srv/baton",
        nodeType: "lab"), by: actor)
    _ = try await store.updateNode(
      node.id,
      facts: NodeFacts(
        diskTotal: .gibibytes(100), diskFree: .gibibytes(50), cores: 8, memory: .gibibytes(64), agentVersion: "1",
        gpus: [], other: [:]), by: epoch)
    let project = try await store.ensureProject("bench")
    let user = try await store.ensureUser("bench")
    let lease = try await store.createLease(
      NewLease(name: "bench", project: project, end: .after(.hours(9)), nodes: .these([node.id])), by: actor)
    let submission = JobSubmission(
      project: project, user: user, spec: JobSpec(name: "long", command: ["train"]), specText: "name: long")
    let job = try await store.submit(submission, by: actor).job.id
    let start = Start(
      job: job, lease: lease.id, placement: Placement(shares: [Placement.Share(node: node.id, gpus: [])]))
    guard let attempt = try await store.start(start, by: epoch).value else {
      throw BenchFailure("the job did not start")
    }
    self.epoch = epoch
    self.attempt = attempt
    self.node = node.id
  }
}

/// What is measured of them.
struct MetricsMeasure {
  let bench: BenchLab
  let pool: PostgresPool
  let store: Store
  let run: BenchRun
  let points: Int
  let batch: Int

  private static let metrics = ["loss", "learning_rate", "grad_norm", "images_per_second", "gpu_memory"]
  /// What is there by now makes the index deeper, so that each part of the whole is a sample.
  private static let parts = 5
  private static let columns = ["job_id", "metric", "step", "value", "attempt_number", "recorded_at"]

  private func value(_ index: Int) -> MetricPoint {
    let count = Self.metrics.count
    return MetricPoint(
      metric: Self.metrics[index % count], step: Int64(index / count),
      value: 1 / Double(index + 1).squareRoot() + Double(index % 101) * 1e-4,
      recordedAt: Timestamp(microseconds: 1_795_285_205_000_000 + Int64(index) * 1000))
  }

  // MARK: - Ingest

  func ingest() async throws -> [Figure] {
    let before = try await beforeRates()
    let copies = try await copyRates()
    var rates: [Double] = []
    var offset: Int64 = 0
    for part in 0..<Self.parts {
      let seconds = try await seconds {
        for (from, to) in batches(of: part, size: batch) {
          let chunk = MetricBatch(
            attempt: run.attempt.id, node: run.node, fromOffset: offset, toOffset: offset + Int64(to - from),
            points: (from..<to).map(value))
          guard case .done(let count) = try await store.ingest(chunk, by: run.epoch), count == to - from else {
            throw BenchFailure("values \(from) to \(to) did not come in")
          }
          offset = chunk.toOffset
        }
      }
      rates.append(Double(points / Self.parts) / seconds)
      bench.progress.say("\((part + 1) * points / Self.parts) values, \(Figure.text(rates[part])) a second")
    }
    let copy = copies.median ?? 0
    return [
      .median("ingest", rates, "values/s", against: "batches of \(batch), each a transaction; until they are durable"),
      .median("copy", copies, "values/s", against: "the limit: COPY of 200,000 rows into the same table with its key"),
      Figure(
        "ingest_of_copy", rates.median.map { $0 / copy }, "ratio", goal: .atLeast(0.3),
        against: "what is beyond COPY: batches, their place in the file, stretches of 1,024 steps in short"),
      .median(
        "before", before, "values/s",
        against: "INSERT ... SELECT unnest ... ON CONFLICT with two foreign keys, such batches; a tenth of the values"),
    ]
  }

  /// The values of one part, in pieces.
  private func batches(of part: Int, size: Int) -> [(from: Int, to: Int)] {
    let (first, last) = (part * points / Self.parts, (part + 1) * points / Self.parts)
    return stride(from: first, to: last, by: size).map { ($0, min($0 + size, last)) }
  }

  private func copyRates() async throws -> [Double] {
    try await pool.execute("CREATE TABLE copied (LIKE metric_point INCLUDING ALL)")
    var rates: [Double] = []
    for part in 0..<Self.parts {
      let seconds = try await seconds {
        for (from, to) in batches(of: part, size: 200_000) {
          var rows = CopyRows()
          for index in from..<to {
            let point = value(index)
            rows.add(1)
            rows.add(point.metric)
            rows.add(point.step)
            rows.add(point.value)
            rows.add(1)
            rows.add(point.recordedAt.iso8601)
            rows.endRow()
          }
          let sent = rows
          _ = try await pool.withConnection { try await $0.copy(sent, into: "copied", columns: Self.columns) }
        }
      }
      rates.append(Double(points / Self.parts) / seconds)
    }
    try await pool.execute("DROP TABLE copied")
    bench.progress.say("plain COPY: \(Figure.text(rates.median ?? 0)) values a second")
    return rates
  }

  /// How it was done before there was COPY here.
  private func beforeRates() async throws -> [Double] {
    try await pool.execute("CREATE TABLE before (LIKE metric_point INCLUDING ALL)")
    try await pool.execute(
      """
      ALTER TABLE before ADD FOREIGN KEY (job_id) REFERENCES job,
        ADD FOREIGN KEY (job_id, attempt_number) REFERENCES attempt (job_id, number)
      """)
    let count = points / 10
    let seconds = try await seconds {
      for from in stride(from: 0, to: count, by: batch) {
        let chunk = (from..<min(from + batch, count)).map(value)
        try await pool.execute(
          """
          WITH said AS (
            SELECT DISTINCT ON (s.metric, s.step) s.metric, s.step, s.value, s.recorded_at
            FROM unnest(\(chunk.map(\.metric))::text[], \(chunk.map(\.step))::bigint[],
              \(chunk.map(\.value))::double precision[], \(chunk.map(\.recordedAt.iso8601))::timestamptz[])
              WITH ORDINALITY AS s (metric, step, value, recorded_at, place)
            ORDER BY s.metric, s.step, s.place DESC
          )
          INSERT INTO before AS p (job_id, metric, step, value, attempt_number, recorded_at)
          SELECT \(run.attempt.job.rawValue), s.metric, s.step, s.value, 1, s.recorded_at FROM said s
          ON CONFLICT (job_id, metric, step) DO UPDATE SET value = excluded.value, recorded_at = excluded.recorded_at
          WHERE p.attempt_number = excluded.attempt_number AND p.value <> excluded.value
          """)
      }
    }
    try await pool.execute("DROP TABLE before")
    let rate = Double(count) / seconds
    bench.progress.say("as before: \(Figure.text(rate)) values a second")
    return [rate]
  }

  // MARK: - Plots

  func plot(times: Int) async throws -> [Figure] {
    bench.progress.say("a curve of \(points) values")
    let job = run.attempt.job
    try await pool.execute(
      """
      INSERT INTO metric_point (job_id, metric, step, value, attempt_number, recorded_at)
      SELECT \(job.rawValue), 'long', s, 1 / sqrt(s + 1) + (s % 101) * 1e-4, 1, clock_timestamp()
      FROM generate_series(0, \(points - 1)::bigint) AS s
      """)
    try await pool.execute(
      """
      INSERT INTO metric_bucket (
        job_id, metric, bucket, points, first_step, last_step, low, high, not_numbers, last_attempt)
      SELECT job_id, metric, step / 1024, count(*), min(step), max(step), min(value), max(value), 0, 1
      FROM metric_point WHERE job_id = \(job.rawValue) AND metric = 'long' GROUP BY job_id, metric, step / 1024
      """)
    try await pool.withConnection { _ = try await $0.execute("VACUUM ANALYZE metric_point") }
    var (plots, parts, counts): ([Double], [Double], [Double]) = ([], [], [])
    var drawn = 0
    for _ in 0..<times {
      plots.append(
        try await seconds { drawn = try await store.series(job, "long", maxPoints: 2000).count } * 1000)
      let middle = Int64(points / 2)
      parts.append(
        try await seconds {
          _ = try await store.series(
            job, "long", from: middle, to: middle + Int64(points / 100), maxPoints: 2000)
        } * 1000)
      counts.append(
        try await seconds {
          _ = try await pool.query(
            "SELECT count(*) AS n FROM metric_point WHERE job_id = \(job.rawValue) AND metric = 'long'")
        } * 1000)
    }
    let summaries = try await seconds { _ = try await store.metricSummaries(of: job) } * 1000
    return [
      .median(
        "plot", plots, "ms", goal: .atMost(250), against: "\(drawn) of \(points) values, every extreme among them"),
      .median("count", counts, "ms", against: "SELECT count(*) of the same values"),
      .median("zoom", parts, "ms", goal: .atMost(250), against: "a hundredth of the same curve"),
      Figure("summaries", summaries, "ms", against: "number, first, last of all metrics: \(2 * points) values"),
    ]
  }

  private func seconds(_ body: () async throws -> Void) async throws -> Double {
    let clock = ContinuousClock()
    let length = try await clock.measure { try await body() }
    return Double(length.components.seconds) + Double(length.components.attoseconds) / 1e18
  }
}

import Domain
import Foundation
import Store
import Wire

/// What a run's view has beside its history: what it costs, what stood around it, where it came from, what people say.
struct RunFacts {
  let services: Services
  let nodes: [NodeID: NodeRecord]

  init(_ services: Services, _ nodes: [NodeRecord]) {
    self.services = services
    self.nodes = Dictionary(nodes.map { ($0.id, $0) }) { first, _ in first }
  }

  /// The attempts of a run, with what they held and how many ranks they had.
  func attempts(of run: RunRecord) async throws -> [AttemptView] {
    let now = try await services.store.now()
    let views = try await AttemptView.build(run.attempts, services)
    return zip(run.attempts, views).map { record, view in
      var view = view
      view.worldSize = record.nodes.count * run.job.spec.launcher.processesPerNode
      view.cost = AttemptCost(record, gpus: gpus(of: record), at: now)
      return view
    }
  }

  /// GPUs that an attempt held: of a node without names of some, all.
  private func gpus(of attempt: AttemptRecord) -> Int {
    attempt.nodes.reduce(0) { $0 + ($1.gpus.isEmpty ? nodes[$1.node]?.facts.gpus.count ?? 0 : $1.gpus.count) }
  }

  /// Adds what is not told by attempts, checkpoints and metrics.
  func complete(_ view: inout RunView, _ run: RunRecord) async throws {
    let store = services.store
    view.tags = run.tags
    view.notes = run.notes.map(RunNoteView.init)
    view.reproduces = run.reproduces
    if let id = run.startCheckpoint {
      let checkpoint = try await store.checkpoint(id)
      view.startedFrom = CheckpointRef(
        id: id, run: checkpoint.job.run, step: Int(checkpoint.step), state: checkpoint.state)
    }
    view.provenance.resolved = try run.resolvedText()
    view.provenance.environments = EnvironmentView.grouped(
      try await store.environments(of: run.job.id), names: nodes.mapValues(\.request.name))
  }
}

extension AttemptCost {
  /// What an attempt held until its end, or until `now`.
  init(_ attempt: AttemptRecord, gpus: Int, at now: Timestamp) {
    let seconds = max(0, ((attempt.endedAt ?? now) - attempt.createdAt).seconds)
    self.init(nodeSeconds: seconds * Double(attempt.nodes.count), gpuSeconds: seconds * Double(gpus))
  }
}

extension RunNoteView {
  /// A note as it is shown.
  init(_ note: RunNote) { self.init(author: note.author, at: note.writtenAt, text: note.body) }
}

extension EnvironmentView {
  /// Each environment once, in the order in which they were met.
  static func grouped(_ records: [EnvironmentRecord], names: [NodeID: String]) -> [EnvironmentView] {
    var views: [EnvironmentView] = []
    for record in records {
      let place = Place(attempt: record.attemptNumber, node: names[record.node] ?? "\(record.node)")
      if let index = views.firstIndex(where: { $0.id == record.sha256 }) {
        views[index].places.append(place)
      } else {
        views.append(
          EnvironmentView(
            id: record.sha256, facts: record.content.facts, packages: record.content.packages, places: [place]))
      }
    }
    return views
  }
}

extension RunRecord {
  /// The job file, without the values of variables whose names say that they are secrets.
  var shownText: String {
    SecretNames.withoutSecrets(specText, of: job.spec.environment)
      ?? "# The job file is not shown: it has secrets, written in a way that they cannot be taken out of it.\n"
  }

  /// The spec with the versions that its data was pinned to: what a run that does it again is submitted with.
  var pinnedSpec: JobSpec {
    var spec = job.spec
    for index in spec.data.indices {
      spec.data[index].version =
        datasets.first { $0.name == spec.data[index].name }?.version ?? spec.data[index].version
    }
    return spec
  }

  /// The job as it was understood, every default filled in, as JSON for people; no value of a secret.
  func resolvedText() throws -> String {
    var spec = pinnedSpec
    spec.environment = SecretNames.withoutSecrets(spec.environment)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(spec), as: UTF8.self)
  }
}

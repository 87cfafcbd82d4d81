import Foundation

/// A program that trains the same network, as ranks on this machine, each on one thread.
enum TrainingProgram: String, CaseIterable {
  case batonTrain = "baton-train"
  case torch

  /// What a run left in its metrics file.
  struct Series {
    /// Of each step of rank 0 the moment at which it was over.
    var times: [(step: Int, time: Double)] = []
    var accuracies: [Double] = []

    /// Steps a second after the first `warmUp`.
    func pace(warmUp: Int) -> Double? {
      let counted = times.dropFirst(warmUp)
      guard let first = counted.first, let last = counted.last, last.time > first.time else { return nil }
      return Double(last.step - first.step) / (last.time - first.time)
    }
  }

  private struct Line: Decodable {
    var step: Int
    var metric: String
    var value: Double
    var time: Double
  }

  /// Runs `ranks` processes to their ends.
  ///
  /// - Throws: with the last words of a rank that fails.
  func run(
    _ words: [String], ranks: Int, data: String, folder: String, bin: String, port: Int
  ) async throws -> Series {
    let metrics = "\(folder)/\(rawValue)-\(UUID().uuidString).jsonl"
    let program = self == .torch ? "/usr/bin/python3" : "\(bin)/baton-train"
    let arguments =
      self == .torch
      ? [BenchOptions.absolute("benchmarks/train_torch.py"), "--data", data, "--metrics", metrics] + words
      : ["--data", data] + words
    // Which kernel a library takes is its own choice here, whatever this machine's user has set.
    try await withThrowingTaskGroup(of: Void.self) { group in
      for rank in 0..<ranks {
        group.addTask {
          _ = try await Child.checked(
            "/usr/bin/env", ["-u", "OPENBLAS_CORETYPE", program] + arguments,
            environment: [
              "RANK": "\(rank)", "WORLD_SIZE": "\(ranks)", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "\(port)",
              "BATON_METRICS": metrics, "BATON_SEED": "7", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
            ])
        }
      }
      try await group.waitForAll()
    }
    return try read(metrics)
  }

  private func read(_ path: String) throws -> Series {
    var series = Series()
    let text = try String(contentsOfFile: path, encoding: .utf8)
    for line in text.split(separator: "\n") {
      let point = try JSONDecoder().decode(Line.self, from: Data(line.utf8))
      if point.metric == "loss" {
        series.times.append((point.step, point.time))
      } else {
        series.accuracies.append(point.value)
      }
    }
    return series
  }

  /// The words that make `steps` steps of `batch` images.
  func words(batch: Int, steps: Int) -> [String] {
    let all = ["--batch", "\(batch)"]
    return all + (self == .torch ? ["--steps", "\(steps)"] : ["--steps-max", "\(steps)", "--epochs", "100000"])
  }
}

import Domain
import Foundation
import ObjectStorage
import Wire

/// By which interface of the store bytes come.
enum Door: String, Sendable, CaseIterable {
  case swift, s3
}

/// A program that brings a set to the local disk.
struct Contestant: Sendable {
  var name: String
  var door: Door
  var command: [String]
  var environment: [String: String] = [:]
  /// What it reads on its standard input.
  var input: String?
  /// Where it is to leave the files; emptied before each run.
  var folder: String
  /// Where in `folder` the files are then; nil for all of it.
  var below: String?

  var isBaton: Bool { name.hasPrefix("baton") }
  var isPacked: Bool { name.hasSuffix("_packed") }

  /// As a person would type it.
  var shown: String {
    let variables = environment.keys.sorted().map { "\($0)=... " }.joined()
    let words = command.indices.map { index in
      // A key is nobody's business, though it is of a server that is gone by then.
      if index > 0, command[index - 1] == "-K" { return "..." }
      let word = command[index]
      return word.split(separator: "/").count > 3 && word.hasPrefix("/") ? Self.short(word) : word
    }
    return variables + words.joined(separator: " ") + (input == nil ? "" : " <order.json")
  }

  private static func short(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }
}

/// The named peers, each with the settings that suit it best here.
struct Peers: Sendable {
  let programs: ObjectServers.Programs
  let door: ObjectServers.Description.Door
  let container: String
  /// Where files are brought.
  let target: String

  private var aws: [String: String] {
    ["AWS_ACCESS_KEY_ID": door.user, "AWS_SECRET_ACCESS_KEY": door.password, "AWS_DEFAULT_REGION": "us-east-1"]
  }

  /// All that bring the objects below `prefix`.
  func all(_ set: SyntheticSet) -> [Contestant] {
    let folder = "\(target)/peer"
    let source = "s3://\(container)/\(set.prefix)"
    // Many small requests: what the servers' single process can take. Few large ones: as shipped.
    let lanes = set.count > 100 ? ["--numworkers", "16"] : []
    let rclone = [
      "env", "-u", "AWS_CA_BUNDLE", "\(programs.debian)/bin/rclone", "--config", "/dev/null", "copy", "--transfers",
      "16", "--checkers", "16", "--use-server-modtime",
    ]
    return [
      Contestant(
        name: "s5cmd", door: .s3,
        command: [programs.peer("s5cmd"), "--endpoint-url", door.url] + lanes + ["cp", "\(source)*", "\(folder)/"],
        environment: aws, folder: folder),
      Contestant(
        name: "rclone_s3", door: .s3, command: rclone + [":s3:\(container)/\(set.prefix)", folder],
        environment: [
          "RCLONE_S3_PROVIDER": "Other", "RCLONE_S3_ENDPOINT": door.url, "RCLONE_S3_ACCESS_KEY_ID": door.user,
          "RCLONE_S3_SECRET_ACCESS_KEY": door.password, "RCLONE_S3_REGION": "us-east-1",
        ], folder: folder),
      Contestant(
        name: "rclone_swift", door: .swift, command: rclone + [":swift:\(container)/\(set.prefix)", folder],
        environment: [
          "RCLONE_SWIFT_AUTH": door.authURL, "RCLONE_SWIFT_USER": door.user, "RCLONE_SWIFT_KEY": door.password,
          "RCLONE_SWIFT_AUTH_VERSION": "1",
        ], folder: folder),
      Contestant(
        name: "aws", door: .s3,
        command: [
          programs.peer("aws"), "s3", "sync", source, folder, "--endpoint-url", door.url, "--only-show-errors",
        ],
        environment: aws, folder: folder),
      Contestant(
        name: "swift_download", door: .swift,
        command: [
          programs.peer("swift"), "-A", door.authURL, "-U", door.user, "-K", door.password, "download", container,
          "--prefix", set.prefix, "--output-dir", folder, "--object-threads", "16", "--skip-identical",
        ], folder: folder, below: set.name),
    ]
  }
}

/// `baton-agent stage`, with what is lent to a node.
struct BatonStage: Sendable {
  let agent: String
  let servers: ObjectServers
  let container: String
  /// Where orders are.
  let scratch: String
  /// Where files are brought.
  let target: String

  private static let lent = ["big", "many-big", "small", "blobs/", "datasets/", "packs/"]

  private func access(_ door: Door) async throws -> StoreAccess {
    let until = Timestamp(microseconds: Int64(wallClock() * 1e6) + 86_400_000_000)
    switch door {
    case .swift:
      return try await servers.container(container).delegate(read: Self.lent, write: [], until: until)
    case .s3: return try await servers.bucket(container).delegate(read: Self.lent, write: [], until: until)
    }
  }

  /// Stages `version` as a copy: its plain objects below the prefix of `set`, or its pack where it has one.
  func contestant(_ set: SyntheticSet, _ version: SetWriter.Version, _ door: Door) async throws -> Contestant {
    let access = try await access(door)
    let isPacked = version.packKey != nil
    let dataset = DatasetOrder(
      id: DatasetVersionID(1), name: set.name, contentID: version.contentID, manifestKey: version.manifestKey,
      total: version.total, source: isPacked ? nil : DatasetSource(store: access, prefix: set.prefix),
      packKey: version.packKey)
    let order = StageOrder(
      controllerEpoch: 1, datasets: [dataset], store: access, reserve: .zero, pinned: [], nodeRank: 0,
      nodeAddresses: ["127.0.0.1"], exchange: nil)
    let name = "baton_\(door.rawValue)\(isPacked ? "_packed" : "")"
    let file = "\(scratch)/order-\(set.name)-\(name).json"
    try JSONEncoder().encode(order).write(to: URL(fileURLWithPath: file))
    let folder = "\(target)/node"
    return Contestant(
      name: name, door: door, command: [agent, "stage", "--root", folder], input: file, folder: folder,
      below: "datasets/\(version.contentID)")
  }
}

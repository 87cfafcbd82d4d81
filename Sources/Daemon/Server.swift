import Domain
import Foundation
import Hummingbird
import Launching
import Logging
import ObjectStorage
import Postgres
import SSH
import ServiceLifecycle
import Store
import UnixSignals
import Wire

/// All of `batond serve`, put together.
struct Server {
  let settings: Settings

  /// Serves until SIGTERM or SIGINT.
  ///
  /// Attempts on nodes go on without it.
  func run() async throws {
    var logger = Logger(label: "batond")
    logger.logLevel = settings.logLevel.flatMap(Logger.Level.init(rawValue:)) ?? .info
    let pool = PostgresPool(
      settings.database, options: .init(applicationName: "batond"), limits: .init(connections: 12))
    let binary = try settings.readAgent()
    let store = Store(
      pool, assumed: settings.assumed, lostMost: settings.lostAttemptsMost ?? AttemptEnd.lostMost)
    let (objects, sources) = try await settings.openObjectStore(store)
    let hub = WakeHub()
    let services = Services(
      settings: settings, store: store,
      objects: objects, sources: sources,
      agents: AgentClient(identity: .file(settings.ssh.keyPath), binary: binary, settings: settings.sessions), hub: hub,
      progress: LiveProgress(),
      leadership: Leadership(), logger: logger, agentVersion: String(binary.sha256.prefix(16)))
    let listener = PostgresListener(
      settings.database, options: .init(applicationName: "batond listener"), channels: ["baton"])
    let application = Application(
      router: API.router(services),
      configuration: .init(
        address: .hostname(settings.listen.host, port: settings.listen.port), serverName: "baton"),
      logger: logger)
    let controller = Controller(
      services: services, database: settings.database, holder: "\(ProcessInfo.processInfo.hostName):\(getpid())")
    var configuration = ServiceGroupConfiguration(
      services: [ListenerService(listener: listener, hub: hub), controller, application],
      gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    // A request that takes longer, as an upload may, is cut off: its client sends it again.
    configuration.maximumGracefulShutdownDuration = .seconds(20)
    try await ServiceGroup(configuration: configuration).run()
    await services.agents.close()
    await pool.close()
  }
}

/// Passes on what the database says.
struct ListenerService: Service {
  let listener: PostgresListener
  let hub: WakeHub

  func run() async throws {
    try await cancelWhenGracefulShutdown {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          do { try await self.listener.run() } catch is CancellationError {}
        }
        for await event in self.listener.events {
          switch event {
          case .reconnected, .overflowed: self.hub.publish(.everything)
          case .notification(let notification):
            if let change = Change(payload: notification.payload) { self.hub.publish(change) }
          }
        }
        group.cancelAll()
        try await group.waitForAll()
      }
    }
  }
}

extension Settings {
  /// The agent that `agent_binary` names, as it is now.
  ///
  /// Throws `SettingsError` where it cannot be read.
  fileprivate func readAgent() throws -> AgentBinary {
    do {
      return try AgentBinary(contentsOf: agentBinary)
    } catch {
      throw SettingsError(
        path: agentBinary, problem: "the agent's executable cannot be read: \(error.localizedDescription)")
    }
  }
}

// Whoever runs services names them in logs by what they print as: by reflection that were all they hold, with what opens
// the object store.
extension Controller: CustomStringConvertible {
  var description: String { "controller" }
}

extension ListenerService: CustomStringConvertible {
  var description: String { "listener" }
}

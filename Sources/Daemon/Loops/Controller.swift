import Domain
import Logging
import Postgres
import ServiceLifecycle
import Store

/// Takes its turn at deciding, and decides until the turn is over.
///
/// An advisory lock keeps others waiting, and goes with its connection: when this process dies another one takes over
/// at once. The epoch that is taken under the lock fences what an earlier holder may still try to write.
struct Controller: Service {
  /// Of all programs in this database, only ours take this lock.
  static let lockKey: Int64 = 0x6261_746f_6e63_746c
  private static let retryPause = Duration.seconds(1)

  let services: Services
  let database: String
  let holder: String

  /// Waits for its turn, decides, and waits again; until cancelled.
  func run() async throws {
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        do {
          try await self.turn()
        } catch {
          if Task.isCancelled { return }
          self.services.logger.warning("controller: \(error)")
        }
        do { try await Task.sleep(for: Self.retryPause) } catch { return }
      }
    }
  }

  private func turn() async throws {
    let lock = try await PostgresConnection.connect(database, options: .init(applicationName: "batond controller"))
    do {
      guard try await lock.tryAdvisoryLock(Self.lockKey) else {
        await lock.close()
        return
      }
      // The lock says that no other process decides: whoever did need not be waited for.
      if case .done(let epoch) = try await services.store.takeControl(holder: holder, patience: .zero) {
        services.logger.notice("this process decides from now on, epoch \(epoch.rawValue)")
        services.leadership.begin(epoch)
        await decide(epoch, whileOpen: lock)
        services.leadership.end()
        services.logger.notice("epoch \(epoch.rawValue) is over")
      }
    } catch {
      services.leadership.end()
      await lock.close()
      throw error
    }
    await lock.close()
  }

  /// Runs all loops until the lock's connection breaks, or one of them finds that its epoch is over.
  private func decide(_ epoch: ControllerEpoch, whileOpen lock: PostgresConnection) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await LeaseWatcher(services: services, epoch: epoch).run() }
      group.addTask { await SchedulingLoop(services: services, epoch: epoch).run() }
      group.addTask { await Dispatcher(services: services, epoch: epoch).run() }
      group.addTask { await AheadStager(services: services, epoch: epoch).run() }
      group.addTask { await Settler(services: services, epoch: epoch).run() }
      group.addTask { await ResumeChecker(services: services, epoch: epoch).run() }
      group.addTask { await Prober(services: services, epoch: epoch).run() }
      group.addTask {
        do { try await lock.waitUntilBroken() } catch { return }
      }
      await group.next()
      group.cancelAll()
    }
  }
}

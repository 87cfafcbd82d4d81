import Glibc
import Synchronization

/// A process that removes a lab when the process that started it ends, however that ends.
///
/// It reads from a socket whose other end only this process holds: the kernel closes it with the process.
enum Watchdog {
  /// The open ends, by the lab's id.
  ///
  /// They are closed by the end of this process, or by `stop`.
  private static let leashes = Mutex<[ProcessIdentity: Int32]>([:])

  /// Starts the watchdog of a lab; one that runs is success.
  static func start(_ file: LabRecordFile) throws(LabError) {
    let record = try file.read()
    if record.watchdog?.isAlive == true { return }
    try Files.write(script(record, file.layout), to: file.layout.watchdogScript, mode: 0o700)
    var ends: [Int32] = [0, 0]
    // A pipe could not be made closed-on-exec in one call, and a copy in another program would keep it open.
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw Files.failure("make", "a socket pair")
    }
    defer { close(ends[0]) }
    let process: ProcessIdentity
    do {
      process = try Command("/bin/sh", [file.layout.watchdogScript]).startDaemon(
        log: file.layout.log(of: "watchdog"), input: ends[0])
    } catch {
      close(ends[1])
      throw error
    }
    let leash = ends[1]
    leashes.withLock { $0[process] = leash }
    try file.update { record throws(LabError) in record.watchdog = process }
  }

  /// Ends a watchdog before it can act.
  static func stop(_ process: ProcessIdentity?) async throws {
    guard let process else { return }
    try await process.end(by: [], grace: .zero)
    letGo(process)
  }

  /// Does to a watchdog what the end of this process does to it.
  static func letGo(_ process: ProcessIdentity) {
    if let leash = leashes.withLock({ $0.removeValue(forKey: process) }) { close(leash) }
  }

  /// Kills by the lab's mark, since the record may lack the latest process.
  private static func script(_ record: LabRecord, _ layout: LabLayout) -> String {
    let disks = record.nodes.map { layout.node($0.name).disk }
    let hasDevices = record.settings.disk == .device
    let groups = record.mountSource(of: "")
    let recovering =
      hasDevices
      ? "for disk in \(disks.joined(separator: " ")); do fsfreeze --unfreeze $disk; done 2>/dev/null\n"
        + DiskThrottle.lifting(prefix: groups) : ":"
    return """
      #!/bin/sh
      # Removes the Baton lab in \(layout.root) when its owner is gone. Written by Baton.
      cd /
      PATH=$PATH:/usr/sbin:/sbin
      read -r word
      marked() {
        for folder in /proc/[0-9]*; do
          [ "${folder#/proc/}" = $$ ] && continue
          if tr '\\0' '\\n' <"$folder/environ" | grep -q '^BATON_LAB=\(record.id)$'; then
            echo "${folder#/proc/}"
          elif tr '\\0' ' ' <"$folder/cmdline" | grep -q '^sshd: .*\(layout.root)/'; then
            echo "${folder#/proc/}"
          fi
        done 2>/dev/null
      }
      # Nothing dies that waits for a disk.
      \(recovering)
      # SIGQUIT lets PostgreSQL remove its shared memory.
      for pid in $(marked); do
        [ "$(cat /proc/$pid/comm)" != postgres ] || kill -QUIT $pid
      done
      round=0
      while [ $round -lt 200 ]; do
        pids=$(marked)
        [ -n "$pids" ] || break
        for pid in $pids; do
          [ $round -lt 50 ] && [ "$(cat /proc/$pid/comm)" = postgres ] || kill -KILL $pid
        done
        round=$((round + 1))
        sleep 0.1
      done
      while read -r source target rest; do
        case $source:$target in
          \(record.mountSource(of: ""))*:* | *:\(layout.root)/nodes/*) umount -l "$target" ;;
        esac
      done </proc/mounts
      \(hasDevices ? DiskThrottle.removing(prefix: groups) : ":")
      rm -rf /var/tmp/baton-lab-\(record.id) /tmp/baton-lab-\(record.id) \(layout.root)

      """
  }
}

import ArgumentParser
import Domain
import Foundation
import Testing
import Wire

@testable import Commands

@Suite struct ParsingTests {
  private func parse<C: ParsableCommand>(_ words: String, as type: C.Type = C.self) throws -> C {
    try #require(try Baton.parseAsRoot(words.split(separator: " ").map(String.init)) as? C)
  }

  @Test(arguments: [
    "lease create week --nodes 2 --node-type gpu_a100 --duration 7d", "lease create -N 2 -t 2h30m",
    "lease create -w n1,n2 --start-date 2026-11-21T18:00+01:00 --end-date now+2h", "lease list --all --json",
    "leases", "leases --json", "lease show week", "lease extend week --by 1d", "lease update week --prolong-for 1d",
    "lease extend week --until now+2h --json", "lease delete lease-3 --json --yes", "submit a.yaml", "submit - -J x",
    "submit a.yaml --name x --priority 80 --test-only", "sbatch a.yaml --dry-run", "job submit a.yaml --wait",
    "submit a.yaml --wait --wait-limit 2h --json", "queue", "squeue --all", "ps -a --state running", "job list --json",
    "job show 17", "explain 17 --json", "job explain job-17", "cancel 17 --now", "job cancel 17", "stop 17",
    "logs 17 -f", "logs 17 --rank 3 --attempt 2", "tail 17 --follow", "job logs 17", "checkpoint 17",
    "checkpoint 17 --json", "checkpoint now 17", "checkpoint list 17 --all --json", "checkpoint ls job-17",
    "checkpoint show 42", "checkpoint pin 42 --note why --run run-18", "checkpoint unpin checkpoint-42 --run 18",
    "data add photos s3://bucket/prefix", "data stage photos --lease week --mode shards --json", "data lineage photos",
    "data evict photos --node n1 --yes", "data verify photos --store", "data pack photos --shard-size 1GiB",
    "checkpoint verify 42 --json", "checkpoint download 42 ./weights", "checkpoint prune 17 --dry-run --json",
    "checkpoint prune 17 40 checkpoint-41 --yes", "job checkpoint 17", "job checkpoint list 17", "sweep --read 200GiB",
    "job checkpoint 17 --json", "job hold 17", "job release 17", "job resume 17",
    "node add n1 --address 10.0.0.1 --user cc --root /local/baton --node-type gpu", "node list", "nodes --json",
    "node show n1", "node check n1", "node drain n1 --reason loud", "node undrain n1", "node remove n1",
    "data add mnist ./mnist --source here", "data list --json", "data show mnist", "run list --live", "run show 17",
    "run show 17 --metric test_accuracy --json", "run compare 17 18 --metric loss", "sweep --json",
    "run verify-resume 17@120 --steps 50 --tolerance 1e-6 --metric loss --json", "run verify-resume run-17@0 --steps 1",
    "run compare 17 18 19 --diff --json", "run lineage 17 --dot",
    "run reproduce 17 --metric loss --metric acc --lease l",
    "run reproduce 17 --no-wait -J again", "run tag 17 a b", "run tag 17 a --remove", "run note 17 text",
    "run note 17 -",
    "run code 17 --into /tmp/x", "run list --tag a", "submit a.yaml --from-checkpoint run-17@300 --no-code",
    "events --subject job-17 --after 5 --limit 10", "events -f", "admin migrate --config batond.json",
    "admin doctor --json", "lab up --nodes 2 --gpus 4 --disk 500MB", "lab down --keep-logs --lab /tmp/x",
    "lab status --json", "lab warden --lab /tmp/x", "lab demo --data d --job j --result r --no-keep", "exit-codes",
    "queue --config /tmp/client.json", "study batch a.yaml --batch 1,2 --repeats 2 --html b.html --json",
    "study scaling a.yaml --nodes 1,2 --images-per-step 64 --per-node", "study scaling a.yaml --rate --metric images",
    "queue --group group-3 --json", "cancel group-3 --now", "submit a.yaml --yes",
  ]) func understands(_ words: String) throws {
    _ = try Baton.parseAsRoot(words.split(separator: " ").map(String.init))
  }

  @Test(arguments: [
    ("lease create --nodes 2", "--duration 2h"), ("lease create --duration 2h", "--nodes 2"),
    ("lease create --nodes 2 --duration 90", "90s, 90m or 90h"), ("lease create -N 2 -t 2:00", "ambiguous"),
    ("lease create -N 2 -t 2h --start 2026-11-21T18:00", "has no offset"),
    ("lease create -N 0 -t 2h", "at least one node"), ("lease extend x", "--by 1d"),
    ("lease extend x --by 1d --until now+1d", "one of the two"), ("submit a.yaml --priority 101", "0 to 100"),
    ("submit a.yaml --test-only --wait", "submits nothing"), ("queue --state RUNING", "PENDING"),
    ("checkpoint pin 42 --run x", "names no run"), ("checkpoint prune 17 x", "names no checkpoint"),
    ("sweep --read much", "500MB"), ("logs 17 --rank -1", "rank"), ("logs 17 --attempt 0", "attempts begin with 1"),
    ("node add n1 --address a --user u --root x", "absolute"),
    ("node add n1 --address a --user u --root /x --port 0", "1 to 65535"), ("data add MNIST d", "a-z"),
    ("data add .x d", "a-z"), ("events --limit 0", "at least one"), ("lab up --nodes 0", "1 to 250"),
    ("lab demo --data d --lease-seconds 5", "40 s"), ("lab up --disk much", "500MB"),
    ("run compare 17", "two runs at least"), ("leese", "Unexpected argument"),
  ]) func refusesWithTheNextStep(_ words: String, _ hint: String) throws {
    let error = #expect(throws: (any Error).self) {
      try Baton.parseAsRoot(words.split(separator: " ").map(String.init))
    }
    let message = Baton.fullMessage(for: try #require(error))
    #expect(message.contains(hint), "\(message)")
    #expect(Baton.exitCode(for: try #require(error)).rawValue == 64)
  }

  @Test func leaseRequestSaysWhatWasTyped() throws {
    let command: LeaseCreate = try parse("lease create week -w n1,n2 --node-type a --start now+10m -t 2h")
    #expect(
      command.request
        == LeaseRequest(name: "week", nodeNames: ["n1", "n2"], nodeType: "a", start: "now+10m", duration: "2h"))
  }

  @Test func shortFormsCarryTheirOptions() throws {
    let queue: Queue = try parse("queue --all --state failed")
    #expect(queue.list.all && queue.list.state == "failed")
    let leases: Leases = try parse("leases --all --json")
    #expect(leases.list.all && leases.list.global.json)
  }

  @Test func aJobAloneIsAskedToSaveNow() throws {
    let short: CheckpointNow = try parse("checkpoint 17 --json")
    #expect(short.job == "17" && short.global.json)
    let long: CheckpointNow = try parse("job checkpoint job-17")
    #expect(long.job == "job-17")
  }

  @Test func everyCommandHasAnExampleInItsHelp() {
    func check(_ command: any ParsableCommand.Type) {
      let own = command.configuration
      if own.subcommands.isEmpty, own.shouldDisplay, own.commandName != "exit-codes" {
        #expect(own.discussion.contains("EXAMPLES:\n  "), "\(command)")
        #expect(!own.abstract.isEmpty, "\(command)")
      }
      for inner in own.subcommands { check(inner) }
    }
    check(Baton.self)
  }

  @Test func labFolderIsMadeAbsolute() throws {
    let command: LabDown = try parse("lab down --lab /tmp/x/../y")
    #expect(command.lab.root == "/tmp/y")
  }

  @Test(arguments: [
    (["leese", "list"], "there is no command 'leese': did you mean `baton lease`?"),
    (["lease", "crate"], "there is no command 'lease crate': did you mean `baton lease create`?"),
    (["quue"], "there is no command 'quue': did you mean `baton queue`?"),
    (["checkpoint", "lsit"], "there is no command 'checkpoint lsit': did you mean `baton checkpoint list`?"),
    (["xyzzy"], "there is no command 'xyzzy': `baton --help` lists them"),
    (["job", "frobnicate"], "there is no command 'job frobnicate': `baton job --help` lists them"),
  ]) func suggestsTheCommandThatWasMeant(_ words: [String], _ message: String) {
    #expect(Suggestion.message(for: words) == message)
  }

  @Test(arguments: [
    ["lease", "create"], ["submit", "file"], ["checkpoint", "17", "18"], ["--version"], ["sbatch", "x"], [],
    ["lease", "--json"],
  ])
  func suggestsNothingForWhatIsACommand(_ words: [String]) {
    #expect(Suggestion.message(for: words) == nil)
  }
}

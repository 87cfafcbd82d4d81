import APIClient
import ArgumentParser
import Domain
import Foundation
import Synchronization
import Wire

/// `baton submit`.
struct Submit: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "submit",
    abstract: "Submit a job file, or a script with #SBATCH or #OAR lines.",
    discussion: Help.examples(
      "baton submit train.yaml",
      "baton submit train.sh --print                          (the job file that comes of a script)",
      "baton submit train.yaml --name try-2 --priority 80     (0 to 100, higher goes first)",
      "baton submit train.yaml --test-only                    (would it start, and if not, why)",
      "baton submit sweep.yaml --yes                          (an array or a matrix, however many jobs it makes)",
      "baton submit train.yaml --wait                         (exit status: baton help exit-codes)",
      "baton submit tune.yaml --from-checkpoint run-17@300    (start from what another run saved)"),
    aliases: ["launch", "apply", "sbatch", "batch"])

  @Argument(
    help: "The job file, or a shell script; - reads standard input.",
    completion: .file(extensions: ["yaml", "yml", "sh"]))
  var file: String

  @Option(
    name: [.customShort("J"), .customLong("name"), .customLong("job-name")],
    help: "Its name, in place of the file's.")
  var name: String?

  @Option(help: ArgumentHelp("0 to 100, higher goes first, in place of the file's.", valueName: "number"))
  var priority: Int?

  @Option(
    help: ArgumentHelp(
      "A lock file of pip's, sent with the job, in place of the file's 'requirements'.", valueName: "path"),
    completion: .file())
  var requirements: String?

  @Flag(name: [.customLong("test-only"), .customLong("dry-run")], help: "Only say what would happen.")
  var testOnly = false

  @Option(
    name: [.customLong("from-checkpoint"), .customLong("resume-from")],
    help: ArgumentHelp(
      "Start from what another run saved: a checkpoint's number, or run-17, or run-17@STEP. It is kept until this job is over.",
      valueName: "checkpoint"))
  var fromCheckpoint: String?

  @Flag(
    name: .customLong("no-code"),
    help: "Send no code: ranks start in an empty folder, and only commit and changes are noted.")
  var noCode = false
  @Option(help: "Take the file for a script with the headers of slurm or oar. (default: whichever it has)")
  var from: BatchScript.Dialect?

  @Flag(name: .customLong("print"), help: "Only print the job file, as it would be sent; the server is not asked.")
  var printsOnly = false

  @Flag(help: "Wait until the job is over; the exit status says how it ended.")
  var wait = false

  @Flag(help: "Do not ask before many jobs of an array or a matrix are submitted.")
  var yes = false

  @Option(
    help: ArgumentHelp("Wait no longer than this; then the exit status is 101 or 104.", valueName: "duration"),
    transform: Checked.span)
  var waitLimit: TimeSpan?

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    if let priority, !(0...100).contains(priority) {
      throw ValidationError("--priority \(priority): a priority is 0 to 100, higher goes first")
    }
    if printsOnly, testOnly || wait || waitLimit != nil { throw ValidationError("--print submits nothing") }
    if testOnly, wait || waitLimit != nil { throw ValidationError("--test-only submits nothing to wait for") }
  }

  func run() async throws {
    if printsOnly {
      return Context.current(json: false).console.out(try text().trimmingCharacters(in: .newlines))
    }
    let environment = ProcessInfo.processInfo.environment
    let prepared = try await request(
      key: Self.newKey(), environment: environment, host: ProcessInfo.processInfo.hostName)
    let code = noCode || testOnly ? nil : await CodeCollector(folder: folder, environment: environment).pack()
    try await global.withClient { client, context in
      try await confirm(prepared, client, context)
      var request = prepared
      if let code {
        try await code.send(client)
        request.provenance.code = code.capture
        if let warning = code.warning { context.console.note(warning) }
      }
      var answer = try await client.submit(request)
      if let group = answer.group {
        if !wait || !context.json { try context.show(answer) { context.prose(GroupText.submitted(group)) } }
        if wait { try await GroupWait(client: client, context: context).wait(for: group) }
        return
      }
      // The job is in; that its explanation cannot be had right now is no failure of the submission.
      if let job = answer.job, !testOnly, let why = try? await client.explain("\(job.id)") {
        answer = JobAnswer(job: why.job ?? job, explanation: why.explanation, text: why.text, existed: answer.existed)
      }
      guard wait || waitLimit != nil, let job = answer.job else {
        try context.show(answer) { context.prose(Self.text(answer, testOnly: testOnly, context.times())) }
        return
      }
      if !context.json { context.console.out(context.prose(Self.text(answer, testOnly: false, context.times()))) }
      let end = try await Self.wait(for: job.id, atMost: waitLimit, client, context)
      if context.json { context.console.out(try JSONText.pretty(end)) }
      let status = ExitStatus(following: end)
      if status != .success { throw CommandFailure(status) }
    }
  }

  /// Says how many jobs a file with an array or a matrix makes, before it makes them, and asks where they are many.
  private func confirm(_ request: SubmitRequest, _ client: BatonClient, _ context: Context) async throws {
    guard !testOnly, Self.makesGroup(request.file) else { return }
    var test = request
    test.testOnly = true
    guard let count = try await client.submit(test).text.first else { return }
    if !context.json { context.console.note("submits " + count.prefix { $0 != ";" }) }
    guard !yes, let number = Int(count.prefix { $0.isNumber }), number > Self.manyJobs else { return }
    guard context.console.canAsk else {
      throw CommandFailure(.usage, "\(number) jobs are many: say --yes to submit them")
    }
    guard context.console.ask("submit \(number) jobs?") else { throw CommandFailure(.usage, "nothing was submitted") }
  }

  /// More jobs than these are not submitted without a yes.
  static let manyJobs = 50

  /// Whether `file` has a line that makes it one of many jobs; whoever writes it otherwise is not asked.
  static func makesGroup(_ file: String) -> Bool {
    file.split(separator: "\n").contains { $0.hasPrefix("array:") || $0.hasPrefix("matrix:") }
  }

  /// Follows a job, telling its changes.
  private static func wait(
    for id: JobID, atMost limit: TimeSpan?, _ client: BatonClient, _ context: Context
  ) async throws -> JobView {
    let changes = Mutex(JobChanges())
    return try await JobFollower(client: client).follow("\(id)", atMost: limit) { view in
      guard changes.withLock({ $0.isNews(view) }), !context.json else { return }
      context.console.out(JobText.line(view, context.times()))
    }
  }

  /// What is sent: the file with its overrides, and where it came from.
  func request(key: String, environment: [String: String], host: String) async throws -> SubmitRequest {
    let text = try text()
    return SubmitRequest(
      file: text, fileName: file == "-" ? "standard input" : URL(fileURLWithPath: file).lastPathComponent,
      submissionKey: key,
      provenance: await Provenance.collect(folder: folder, host: host, environment: environment), testOnly: testOnly,
      startFrom: fromCheckpoint)
  }

  /// Where the job file lies, or its text was typed.
  private var folder: String {
    file == "-"
      ? FileManager.default.currentDirectoryPath
      : URL(fileURLWithPath: file).standardizedFileURL.deletingLastPathComponent().path
  }

  /// The job file with its overrides; what a script has that a job has not is said on standard error.
  private func text() throws -> String {
    var text = try Self.read(file)
    let script = BatchScript(text)
    if from != nil || script.isScript { text = try translated(script) }
    if let name { text = try overriding("name", JobFileOverride.quoted(name), in: text) }
    if let priority { text = try overriding("priority", "\(priority)", in: text) }
    if let requirements {
      text = try overriding("requirements", JobFileOverride.block(try Self.read(requirements, "lock file")), in: text)
    }
    return text
  }

  /// The job file that comes of a script.
  private func translated(_ script: BatchScript) throws -> String {
    let dialects = script.dialects
    guard from != nil || dialects.count <= 1 else {
      throw CommandFailure(
        .badInput, "\(file) has #SBATCH and #OAR lines: say which ones count, with --from slurm or oar")
    }
    let job = ScriptTranslation.job(
      script, from ?? dialects.first, fileName: file == "-" ? "script" : URL(fileURLWithPath: file).lastPathComponent)
    func said(_ remarks: [ScriptJob.Remark]) -> [String] {
      remarks.sorted { $0.line < $1.line }.map { Printable.line("\(file):\($0.line): \($0.text)") }
    }
    guard job.refused.isEmpty else {
      throw CommandFailure(.badInput, (["this script cannot be a job:"] + said(job.refused)).joined(separator: "\n"))
    }
    let console = Context.current(json: false).console
    for line in said(job.ignored) { console.note("note: " + line) }
    return job.file(running: script.text)
  }

  private func overriding(_ key: String, _ value: String, in text: String) throws -> String {
    guard let edited = JobFileOverride.set(key, to: value, in: text) else {
      throw CommandFailure(
        .badInput, "\(file): --\(key) cannot be put into this file, since it is no block mapping of YAML: set it there")
    }
    return edited
  }

  private static func read(_ file: String, _ kind: String = "job file") throws -> String {
    let data: Data
    do {
      data =
        file == "-"
        ? try FileHandle.standardInput.readToEnd() ?? Data() : try Data(contentsOf: URL(fileURLWithPath: file))
    } catch {
      throw CommandFailure(.badInput, "cannot read the \(kind) \(file): check the path (\(reason(error)))")
    }
    guard let text = String(bytes: data, encoding: .utf8) else {
      throw CommandFailure(.badInput, "the \(kind) \(file) is not UTF-8 text")
    }
    return text
  }

  private static func reason(_ error: any Error) -> String {
    (error as? CocoaError)?.code == .fileReadNoSuchFile ? "there is no such file" : error.localizedDescription
  }

  /// 128 random bits: the same key twice is the same job, so no two submissions may share one.
  static func newKey() -> String {
    (0..<16).map { _ in UInt8.random(in: .min ... .max) }.hexadecimal
  }

  /// What a person reads.
  static func text(_ answer: JobAnswer, testOnly: Bool, _ times: TimeText) -> String {
    guard testOnly || answer.job == nil else { return JobText.explanation(answer, times) }
    return (["not submitted; it would be answered with:"] + answer.text.map { "  " + Printable.line($0) })
      .joined(separator: "\n")
  }
}

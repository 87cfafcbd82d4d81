import Domain
import JobFile
import Testing

@testable import Commands

@Suite struct ScriptTests {
  private func job(_ text: String, _ dialect: BatchScript.Dialect? = .slurm) -> ScriptJob {
    ScriptTranslation.job(BatchScript(text), dialect, fileName: "jobs/train.sh")
  }

  private func slurm(_ lines: String...) -> ScriptJob {
    job("#!/bin/bash\n" + lines.map { "#SBATCH \($0)\n" }.joined() + "python /opt/train.py\n")
  }

  private func oar(_ lines: String...) -> ScriptJob {
    job("#!/bin/bash\n" + lines.map { "#OAR \($0)\n" }.joined() + "python /opt/train.py\n", .oar)
  }

  @Test func knowsAScriptFromAJobFile() {
    #expect(BatchScript("#!/bin/sh\ntrue").isScript)
    #expect(BatchScript("#SBATCH -N 1\ntrue").dialects == [.slurm])
    #expect(BatchScript("#OAR -n a\n#SBATCH -N 1\ntrue").dialects == [.slurm, .oar])
    #expect(!BatchScript("name: a\nrun: b\n#SBATCH -N 1").isScript)
    #expect(!BatchScript("# a job\nname: a\nrun: b").isScript)
  }

  @Test func readsWhatAJobHasToo() {
    let job = slurm(
      "--job-name=\"my net\" -N 2", "--ntasks-per-node 4 --gpus-per-node=a100:4", "-t 1-12:30", "--time-min=90",
      "--signal=B:USR1@120 --no-requeue", "--export=NONE,SEED=7  # as always", "--reservation=course")
    #expect(job.name == "my net" && job.nodes == 2 && job.processesPerNode == 4 && job.gpusPerNode == 4)
    #expect(job.limit == .seconds(131_400) && job.minimum == .minutes(90))
    #expect(job.signal == .usr1 && job.grace == .seconds(120) && job.survives == false)
    #expect(job.environment == ["SEED": "7"] && job.lease == "course")
    #expect(job.refused.isEmpty, "\(job.refused)")
    #expect(
      job.file(running: "echo $HOME\n\ndone") == """
        name: 'my net'
        resources: {nodes: 2, gpus_per_node: 4}
        time: {limit: 36h30m, min: 1h30m}
        lease: {use: 'course', survive: false}
        launcher: {processes_per_node: 4}
        checkpoint: {signal: USR1, grace: 2m}
        env:
          SEED: '7'
        # Variables are the script's own business: $$ is a dollar in a job file.
        run:
          - bash
          - -c
          - |
            echo $$HOME

            done

        """)
  }

  @Test(
    arguments: [
      ("-n 8 -N 2", 2, 4, 0), ("-n4", nil, 4, 0), ("--gres=gpu:2", nil, nil, 2),
      ("--gres=gpu:a100:4,nvme", nil, nil, 4),
      ("--gres=gpu", nil, nil, 1), ("-G 8 -N4", 4, nil, 2), ("-N 1-4", 1, nil, 0),
      ("--gpus-per-task=2 --ntasks-per-node=2", nil, 2, 4), ("-n 8 -N 2 --ntasks-per-node=1", 2, 1, 0),
    ] as [(String, Int?, Int?, Int)])
  func sharesOutOverNodes(line: String, nodes: Int?, processes: Int?, gpus: Int) {
    let job = slurm(line)
    #expect(job.nodes == nodes && job.processesPerNode == processes && (job.gpusPerNode ?? 0) == gpus, "\(job)")
    #expect(job.refused.isEmpty)
  }

  @Test(
    arguments: [
      ("90", 5400), ("90:30", 5430), ("2:00:00", 7200), ("1-0", 86_400), ("1-2:30", 95_400), ("1-2:30:15", 95_415),
      ("1:2:3:4", nil), ("a", nil), ("", nil), ("1-", nil),
    ] as [(String, Int?)])
  func aTimeIsReadAsSlurmDoes(text: String, seconds: Int?) {
    #expect(SlurmHeader.time(text) == seconds.map { .seconds($0) })
  }

  @Test(arguments: [("2", 7200), ("1:30", 5400), ("0:10:05", 605), ("0", nil), ("x", nil)] as [(String, Int?)])
  func aWalltimeIsReadAsOARDoes(text: String, seconds: Int?) {
    #expect(OARHeader.time(text) == seconds.map { .seconds($0) })
  }

  @Test func saysWhatWasLeftOutWithItsLine() {
    let job = slurm("--mem=64G -c 8", "--mail-type=END", "-p gpu --wombat")
    let said = job.ignored.filter { $0.line > 1 }
    #expect(said.map(\.line) == [2, 2, 3, 4, 4])
    #expect(said.first?.text == "--mem=64G: nodes are taken as they are, with all their processors and memory")
    #expect(said[3].text == "-p gpu: resources.node_type chooses among nodes")
    #expect(said.last?.text == "--wombat: means nothing here")
  }

  @Test(
    arguments: [
      ("--array=1-", "expected indices"), ("--array=0-1000", "makes more than 1000 jobs"), ("-a", "expected indices"),
      ("-d afterok:12", "jobs do not wait for each other"),
      ("--begin=now+1hour", "a job begins when a lease has room"),
      ("-n 5 -N 2", "not the same number on each of 2 nodes"), ("-N many", "expected a number"),
      ("-t soon", "expected a time"), ("--gres=gpu:a:b:c", "expected a number of GPUs"),
    ])
  func refusesWhatWouldBeWrongToLeaveOut(line: String, words: String) {
    let refused = slurm(line).refused
    #expect(refused.map(\.line) == [2])
    #expect(refused.first?.text.contains(words) == true, "\(refused)")
  }

  @Test func looksAtWhatTheScriptDoes() {
    let job = job(
      """
      #!/bin/bash
      #SBATCH -N 2
      module load cuda
      # srun in a comment
      echo "rank $SLURM_PROCID of ${SLURM_NTASKS}, $SLURM_PROCID, $SLURM_TOPOLOGY_ADDR"
      for x in 1 2; do srun --mpi=pmix python train.py; done
      N=$(scontrol show hostnames)
      #SBATCH -t 10
      """)
    #expect(job.refused.map(\.line) == [6, 7])
    #expect(job.refused.first?.text.hasPrefix("srun: there is no Slurm on the nodes") == true)
    #expect(job.limit == nil)
    let said = job.ignored.map { "\($0.line) \($0.text)" }
    #expect(said.contains("3 module: only if the nodes' image has it"))
    #expect(said.contains("5 $SLURM_PROCID is not set here, and $RANK says the same"))
    #expect(said.contains("5 $SLURM_TOPOLOGY_ADDR is not set here, and nothing says the same"))
    #expect(said.filter { $0.contains("SLURM_PROCID") }.count == 1)
    #expect(said.contains("8 #SBATCH behind the first command means nothing there either"))
    #expect(said.contains { $0.hasPrefix("1 the script runs as every rank, on every node") })
  }

  @Test func readsOAR() {
    let job = oar(
      "-n sweep", "-l {gpu_model='A100'}/nodes=2/gpu=2/core=8,walltime=1:30", "-p \"cluster='chifflet'\"",
      "-t besteffort -t exotic", "-O out.%jobid% --checkpoint 60 --signal 12")
    #expect(job.name == "sweep" && job.nodes == 2 && job.gpusPerNode == 2)
    #expect(job.limit == .minutes(90) && job.priority == 0 && job.signal == .usr2 && job.grace == .seconds(60))
    #expect(job.refused.isEmpty, "\(job.refused)")
    let said = job.ignored.map(\.text)
    #expect(said.contains { $0.contains("{gpu_model=A100}: resources.node_type chooses among nodes") })
    #expect(said.contains("-t exotic: means nothing here"))
    #expect(said.contains("-p cluster='chifflet': resources.node_type chooses among nodes"))
    #expect(oar("-l nodes=1+nodes=2").refused.count == 1)
    #expect(oar("--array-param-file p.txt").refused.first?.text.contains("a matrix of them") == true)
  }

  /// What the file of a translated script makes.
  private func members(of job: ScriptJob, running script: String) throws -> JobFileMembers {
    guard case .group(let members) = try parseJobFileMembers(job.file(running: script), fileName: "job.yaml") else {
      throw JobFileError(fileName: "", issues: [])
    }
    return members
  }

  @Test func anArrayOfSlurmIsAnArray() throws {
    let script =
      "#!/bin/bash\n#SBATCH -J fold --array=0-12:4%2\n"
      + "echo $SLURM_ARRAY_TASK_ID ${SLURM_ARRAY_JOB_ID}_x '${{ y }}'\n"
    let job = job(script)
    #expect(job.refused.isEmpty, "\(job.refused)")
    #expect(job.file(running: script).contains("array: 0-12:4%2\n"))
    let said = job.ignored.map(\.text)
    #expect(said.contains("$SLURM_ARRAY_JOB_ID is not set here, and nothing says the same"))
    #expect(!said.contains { $0.contains("SLURM_ARRAY_TASK_ID") })
    let made = try members(of: job, running: script)
    #expect(made.members.map(\.index) == [0, 4, 8, 12] && made.atMost == 2 && made.name == "fold")
    #expect(
      made.members[2].spec.environment == [
        "SLURM_ARRAY_TASK_ID": "8", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "0",
        "SLURM_ARRAY_TASK_MAX": "12", "SLURM_ARRAY_TASK_STEP": "4", "BATON_ARRAY_INDEX": "8",
      ])
    // All of the script, as it was: `$$` is a dollar.
    #expect(made.members[2].spec.command == ["bash", "-c", script.replacing("$", with: "$$")])
  }

  @Test func anArrayOfOARIsAnArray() throws {
    let job = oar("-n sweep --array 3")
    #expect(job.refused.isEmpty, "\(job.refused)")
    let made = try members(of: job, running: "echo $OAR_ARRAY_INDEX")
    #expect(made.members.map(\.index) == [1, 2, 3])
    #expect(
      made.members[1].spec.environment == ["OAR_ARRAY_INDEX": "2", "OAR_ARRAYINDEX": "2", "BATON_ARRAY_INDEX": "2"])
    #expect(oar("--array many").refused.first?.text.contains("expected a number of jobs") == true)
    #expect(oar("--array 1001").refused.first?.text.contains("more than 1000 jobs") == true)
  }

  @Test(
    arguments: [
      ("0-9", "0-9"), ("3", "3"), ("1,4,7", "1-7:3"), ("4,1,2", "1-2,4"), ("1-3,2-5%9", "1-5"), ("0-9%3", "0-9%3"),
      ("0-90:10", "0-90:10"), ("1,1", "1"), ("5-5:2", "5"), ("0,2", "0,2"), ("1-9:4,20%1", "1,5,9,20%1"),
    ])
  func anArrayIsWrittenAsAJobFileHasIt(slurm: String, file: String) throws {
    let array = try ScriptArray(slurm: slurm)
    #expect(array.text == file)
    let read = try parseJobFileMembers("name: a\nrun: b\narray: \(array.text)\n", fileName: "job.yaml")
    guard case .group(let members) = read else { throw JobFileError(fileName: "", issues: []) }
    #expect(members.members.map(\.index) == array.indices && members.atMost == array.atMost)
  }

  @Test(arguments: ["", "a", "3-1", "1-2-3", "1-9:0", "1:2:3", "-1", "1%0", "1%2%3", "1,", "0-1000001", "%2"])
  func aWrongArrayIsRefused(text: String) {
    #expect(throws: ScriptArray.Mistake.self) { try ScriptArray(slurm: text) }
  }

  @Test func aScriptWithoutHeadersIsAJobOfOneNode() {
    let job = job("#!/bin/bash\npython /opt/train.py", nil)
    #expect(job.name == "train" && job.refused.isEmpty)
    #expect(job.file(running: "x").contains("resources: {nodes: 1, gpus_per_node: 0}"))
  }
}

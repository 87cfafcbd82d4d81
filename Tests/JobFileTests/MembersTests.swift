import Domain
import Testing

@testable import JobFile

/// Files that make many jobs.
@Suite struct MembersTests {
  private func members(_ text: String) throws -> JobFileMembers {
    guard case .group(let members) = try parseJobFileMembers(text, fileName: "job.yaml") else {
      throw JobFileError(fileName: "", issues: [])
    }
    return members
  }

  private func complaint(_ text: String) -> String {
    do {
      _ = try parseJobFileMembers(text, fileName: "job.yaml")
      return ""
    } catch {
      return error.description
    }
  }

  @Test func aFileWithoutEitherIsOneJob() throws {
    let content = try parseJobFileMembers("name: a\nrun: [b, '{{ x }}']\n", fileName: "job.yaml")
    #expect(content == .job(try parseJobFile("name: a\nrun: [b, '{{ x }}']\n", fileName: "job.yaml")))
  }

  @Test func aMatrixIsEveryCombinationInOrder() throws {
    let made = try members(
      """
      name: mnist
      matrix:
        lr: [0.1, 0.01]
        nodes: [1, 2, 4]
      resources:
        nodes: ${{ matrix.nodes }}
      run: [baton-train, --learning-rate, "${{matrix.lr}}", --tag, "${{ matrix.lr }}/${{ matrix.nodes }}"]
      env: {RATE: "r${{ matrix.lr }}"}
      """)
    #expect(made.name == "mnist" && made.atMost == nil && made.dimensions == ["lr 2", "nodes 3"])
    #expect(made.members.map(\.index) == Array(0..<6))
    #expect(made.members.map(\.spec.resources.nodes) == [1, 2, 4, 1, 2, 4])
    let fourth = made.members[3]
    #expect(fourth.values == ["lr": "0.01", "nodes": "1"])
    #expect(fourth.spec.name == "mnist[lr=0.01,nodes=1]")
    #expect(fourth.spec.command == ["baton-train", "--learning-rate", "0.01", "--tag", "0.01/1"])
    #expect(
      fourth.spec.environment == ["RATE": "r0.01", "BATON_MATRIX_LR": "0.01", "BATON_MATRIX_NODES": "1"])
  }

  @Test func theFileOfAMemberMakesThatMemberAlone() throws {
    let text = """
      name: sweep
      matrix: # two of them
        word: ["it's", "b: c"]

        size: [1, 2]
      # about run
      run: [train, "${{ matrix.word }}", "${{ matrix.size }}"]
      """
    for member in try members(text).members {
      let alone = try members(member.text)
      #expect(alone.members.map(\.spec) == [member.spec] && alone.members.map(\.values) == [member.values])
    }
    for member in try members("name: a\narray: 2-6:2%1\nrun: t ${{ array.index }}\n").members {
      #expect(try members(member.text).members.map(\.spec) == [member.spec])
    }
  }

  @Test func anArrayNumbersItsJobs() throws {
    let made = try members("name: fold\narray: 0-9:3,20%2\nrun: train --fold ${{ array.index }}\nat_most: 3\n")
    #expect(made.members.map(\.index) == [0, 3, 6, 9, 20])
    #expect(made.atMost == 3)
    #expect(made.members.map(\.spec.name).last == "fold[20]")
    #expect(made.members.map { $0.spec.command.last } == ["0", "3", "6", "9", "20"])
    #expect(made.members[1].spec.environment == ["BATON_ARRAY_INDEX": "3"])
    let named = try members("name: fold-${{ array.index }}-x\narray: 1-2%1\nrun: t\n")
    #expect(named.name == "fold" && named.atMost == 1 && named.members.map(\.spec.name) == ["fold-1-x", "fold-2-x"])
  }

  @Test func aDollarThatIsWrittenTwiceBeginsNoWord() throws {
    let made = try members("name: a\narray: 4\nrun: [sh, -c, 'a $${{ b }} $$${{ array.index }} ${{ array.index }}']\n")
    #expect(made.members[0].spec.command.last == "a $${{ b }} $$4 4")
  }

  @Test(arguments: [
    ("array: 3-1", "begins after its end"), ("array: 1,1", "twice"), ("array: a", "expected indices"),
    ("array: 0-1000", "1001 jobs"), ("array: -1", "expected indices"), ("array: 1%0", "behind '%'"),
    ("array: 0-9:0", "expected indices"), ("array: [1]", "found a list"), ("matrix: 3", "lists of values"),
    ("matrix: {}", "lists of values"), ("matrix: {a: 1}", "expected a list"), ("matrix: {a: []}", "expected a list"),
    ("matrix: {a: [1, 1]}", "twice"), ("matrix: {a: [1], A: [2]}", "BATON_MATRIX_A"), ("matrix: {a-b: [1]}", "name"),
    ("matrix: {a: [[1]]}", "expected text"), ("at_most: 2", "means nothing"),
    ("array: 1-2\nmatrix: {a: [1]}", "cannot both"), ("array: 1-2\nenv: {A: '${{ matrix.a }}'}", "array.index"),
    ("matrix: {a: [1]}\nenv: {A: '${{ array.index }}'}", "there are: matrix.a"),
    ("matrix: {a: [1]}\nenv: {A: '${{ matrix.a'}", "without '}}'"),
    ("matrix: {n: [1, x]}\nresources:\n  nodes: ${{ matrix.n }}", "found the text 'x'"),
    ("array: 1-3\nat_most: 0", "at_most"),
  ])
  func aMistakeIsNamedOnce(lines: String, words: String) {
    let complaint = complaint("name: a\nrun: b\n" + lines + "\n")
    #expect(complaint.contains(words), "\(complaint)")
    #expect(complaint.split(separator: "\n").count == 1, "\(complaint)")
  }

  @Test func allMistakesAreToldAtOnce() {
    let complaint = complaint("nam: a\nrun: b\nmatrix: {a: [1, 2]}\npriority: high\n")
    #expect(complaint.contains("unknown key 'nam'") && complaint.contains("priority: expected"))
    #expect(complaint.contains("'name' is missing"))
    #expect(self.complaint("{name: a, run: b, array: 1-2}").contains("lines of their own"))
  }

  @Test func aFileOfOneJobIsWantedWhereOneIs() {
    #expect(throws: JobFileError.self) { try parseJobFile("name: a\nrun: b\narray: 1-2\n", fileName: "job.yaml") }
  }

  @Test func theMostJobsAreThousand() throws {
    let ten = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"
    let made = try members("name: a\nrun: b\nmatrix: {a: \(ten), b: \(ten), c: \(ten)}\n")
    #expect(made.members.count == 1000)
    #expect(complaint("name: a\nrun: b\nmatrix: {a: \(ten), b: \(ten), c: \(ten), d: [1, 2]}\n").contains("2000 jobs"))
  }
}

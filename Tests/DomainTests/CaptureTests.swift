import Domain
import Testing

@Suite struct SecretNameTests {
  @Test(arguments: [
    "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "HF_TOKEN", "HFTOKEN", "hfToken", "db-password",
    "DB_PASSWD", "DB_PWD", "GITHUB_AUTH", "MY_CREDENTIALS", "apiKey", "APIKEY", "SENTRY_DSN", "SESSION_COOKIE",
  ]) func aNameThatSaysSoIsOneOfASecret(name: String) {
    #expect(SecretNames.isSecret(variable: name))
  }

  @Test(arguments: [
    "TOKENIZERS_PARALLELISM", "MAX_TOKENS", "OMP_NUM_THREADS", "PWD", "MONKEY", "KEYBOARD", "NCCL_DEBUG", "AUTHOR",
    "SSH_AUTH_SOCK", "LEARNING_RATE", "CUDA_VISIBLE_DEVICES", "",
  ]) func whatTrainingProgramsHaveIsNone(name: String) {
    #expect(!SecretNames.isSecret(variable: name))
  }

  @Test(arguments: [
    ".env", "a/.env.local", "deploy/server.pem", "id_rsa", "x/.netrc", "conf/credentials.json", "secrets.yaml",
    "tls.KEY",
  ]) func filesOfSecretsAreKnownByName(path: String) { #expect(SecretNames.isSecret(file: path)) }

  @Test(arguments: ["train.py", "environment.yml", "keys.py", "data/monkey.txt", "tokenizer.json", "token_stats.py"])
  func otherFilesAreNot(path: String) { #expect(!SecretNames.isSecret(file: path)) }

  @Test func keepsNamesAndNeverValues() {
    let shown = SecretNames.withoutSecrets(["HF_TOKEN": "hf_123456", "LANG": "C"])
    #expect(shown == ["HF_TOKEN": SecretNames.hidden, "LANG": "C"])
  }

  @Test func takesValuesOutOfAText() {
    let text = "env:\n  HF_TOKEN: hf_123456\n  LANG: C\nrun: train --token hf_123456\n"
    let expected = "env:\n  HF_TOKEN: \(SecretNames.hidden)\n  LANG: C\nrun: train --token \(SecretNames.hidden)\n"
    #expect(SecretNames.withoutSecrets(text, of: ["HF_TOKEN": "hf_123456", "LANG": "C"]) == expected)
  }

  @Test func aShortValueIsOnlyTakenOutBehindItsName() {
    let text = "env: {USE_AUTH: \"1\", N: \"1\"}\nnodes: 1"
    let expected = "env: {USE_AUTH: \"\(SecretNames.hidden)\", N: \"1\"}\nnodes: 1"
    #expect(SecretNames.withoutSecrets(text, of: ["USE_AUTH": "1", "N": "1"]) == expected)
  }

  @Test func aValueThatIsNotFoundHidesTheText() {
    #expect(SecretNames.withoutSecrets("env: {A_KEY: \"a\\x62c\"}", of: ["A_KEY": "abc"]) == nil)
    #expect(SecretNames.withoutSecrets("nothing here", of: ["B": "x"]) == "nothing here")
  }
}

@Suite struct CodeLimitTests {
  private func file(_ path: String, _ bytes: Int64 = 10, tracked: Bool = true) -> CodeCandidate {
    CodeCandidate(path: path, bytes: ByteCount(bytes), isTracked: tracked)
  }

  @Test func takesAllThatFits() {
    let choice = CodeLimits().choose([file("b"), file("a/c", tracked: false)], folder: "")
    #expect(choice.chosen.map(\.path) == ["a/c", "b"])
    #expect(choice.leftOut.isEmpty)
  }

  @Test func namesWhatIsTooLargeAndWhatHoldsSecrets() {
    let choice = CodeLimits().choose(
      [file("weights.bin", 5 << 20), file(".env", tracked: false), file("committed.pem"), file("a")], folder: "")
    #expect(choice.chosen.map(\.path) == ["a", "committed.pem"])
    #expect(choice.leftOut.map(\.path) == [".env", "weights.bin"])
    #expect(choice.leftOut[1].reason == "larger than 4.0 MiB" || choice.leftOut[1].reason.hasPrefix("larger than 4"))
  }

  @Test func whereThereIsNotRoomForAllTheJobsOwnFolderGoesFirst() {
    var limits = CodeLimits()
    limits.totalMost = ByteCount(25)
    let all = [file("a"), file("z/train.py"), file("z/new.py", tracked: false), file("b")]
    let choice = limits.choose(all, folder: "z")
    #expect(choice.chosen.map(\.path) == ["z/new.py", "z/train.py"])
    #expect(choice.leftOut.map(\.path) == ["a", "b"])
    limits.totalMost = ByteCount(1000)
    limits.filesMost = 1
    #expect(limits.choose(all, folder: "z").chosen.map(\.path) == ["z/train.py"])
  }
}

@Suite struct LineDiffTests {
  @Test func equalTextsHaveNoDifference() {
    #expect(LineDiff("a\nb\n", "a\nb\n").isEmpty)
    #expect(LineDiff("", "").unified() == "")
  }

  @Test func showsAHunkWithLinesAroundIt() {
    let old = (1...12).map { "line \($0)" }.joined(separator: "\n") + "\n"
    let new = old.replacing("line 6\n", with: "line six\n")
    let expected = """
      @@ -3,7 +3,7 @@
       line 3
       line 4
       line 5
      -line 6
      +line six
       line 7
       line 8
       line 9
      """
    #expect(LineDiff(old, new).unified() == expected)
  }

  @Test func showsWhatCameAndWhatWent() {
    #expect(LineDiff("", "a\n").unified() == "@@ -0,0 +1,1 @@\n+a")
    #expect(LineDiff("a\nb\n", "b\n").unified() == "@@ -1,2 +1,1 @@\n-a\n b")
  }

  @Test func cutsWhatNobodyReads() {
    let new = (1...100).map { "\($0)" }.joined(separator: "\n")
    #expect(LineDiff("", new).unified(linesMost: 3).hasSuffix("... and 98 more lines"))
  }

  /// Whatever the texts, the hunks of a diff without limits lead from one to the other.
  @Test(arguments: 0..<60) func theEditsLeadFromOneTextToTheOther(seed: Int) {
    var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(bound))
    }
    let old = (0..<next(40)).map { _ in "l\(next(6))" }
    var new = old
    for _ in 0..<next(12) {
      if !new.isEmpty, next(2) == 0 {
        new.remove(at: next(new.count))
      } else {
        new.insert("n\(next(6))", at: next(new.count + 1))
      }
    }
    let diff = LineDiff(old.map { $0 + "\n" }.joined(), new.map { $0 + "\n" }.joined())
    #expect(applying(diff.unified(linesMost: .max), to: old) == new)
    #expect(diff.isEmpty == (old == new))
  }

  private func applying(_ hunks: String, to old: [String]) -> [String] {
    var result: [String] = []
    var place = 0
    for line in hunks.split(separator: "\n") {
      if line.hasPrefix("@@") {
        let numbers = line.split(separator: " ")[1].dropFirst().split(separator: ",").compactMap { Int($0) }
        let start = numbers[1] == 0 ? numbers[0] : numbers[0] - 1
        result += old[place..<start]
        place = start
      } else if line.hasPrefix("+") {
        result.append(String(line.dropFirst()))
      } else {
        if line.hasPrefix(" ") { result.append(old[place]) }
        place += 1
      }
    }
    return result + old[place...]
  }
}

import Domain
import JobFile
import Testing

/// What `run` becomes; nil where it is refused.
private func command(_ run: String) -> [String]? {
  try? parseJobFile("name: a\nrun: \(run)\n", fileName: "job.yaml").command
}

@Suite struct CommandTests {
  @Test(
    arguments: [
      ("python train.py", ["python", "train.py"]), ("  a   b\t c ", ["a", "b", "c"]),
      (#"a 'b c' "d e" f\ g"#, ["a", "b c", "d e", "f g"]), (#"a '' "" x''y"#, ["a", "", "", "xy"]),
      (#"a "b\"c\\d\$e\n""#, ["a", #"b"c\d$$e\n"#]), (#"a '\n|&;<>`$('"#, ["a", #"\n|&;<>`$$("#]),
      (#"a \| \& \$x"#, ["a", "|", "&", "$$x"]),
      (#"a $NAME ${NAME}s "$X" '$Y'"#, ["a", "$NAME", "${NAME}s", "$X", "$$Y"]),
      ("a *.py ~ x=1 a#b", ["a", "*.py", "~", "x=1", "a#b"]),
      ("[a, 'b c', 3, true, '']", ["a", "b c", "3", "true", ""]),
      ("[bash, -c, 'a | b && $(c)']", ["bash", "-c", "a | b && $(c)"]),
      ("|\n  a b\n    --c d\n", ["a", "b", "--c", "d"]),
      ("|\n  a b \\\n    --c d\n", ["a", "b", "--c", "d"]), ("./a=b c", ["./a=b", "c"]),
    ])
  func splitsLikeAShell(run: String, words: [String]) {
    #expect(command(run) == words)
  }

  @Test(
    arguments: [
      ("a | b", "an unquoted '|'"), ("a && b", "an unquoted '&'"), ("a;b", "an unquoted ';'"),
      ("a > b", "an unquoted '>'"), ("a < b", "an unquoted '<'"), ("a `b`", "a backtick"), ("a $(b)", "'$('"),
      (#"a "$(b)""#, "'$('"), (#"a "`b`""#, "a backtick"), ("a 'b", "a ' without its partner"),
      ("a b\"c", "a \" without its partner"), ("a \\", "ends in a backslash"), ("A=1 b", "put it under env"),
      ("''", "names no program"), ("[]", "names no program"), ("['']", "names no program"),
      ("{a: b}", "found keys with values"),
      ("[a, [b]]", "expected a word, found a list"), ("[a, ~]", "expected a word, found nothing"),
      ("~", "found nothing"),
      ("\"a\\0b\"", "a NUL"),
    ])
  func refusesWhatOnlyAShellUnderstands(run: String, words: String) {
    let found = complaints("name: a\nrun: \(run)\n")
    #expect(found.count == 1, "\(found)")
    #expect(found.first?.contains(words) == true, "\(found)")
  }
}

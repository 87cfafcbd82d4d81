/// Which names stand for something that must not be written down.
///
/// A rule about names, not about values: whoever calls a password `greeting` has told everybody.
public enum SecretNames {
  /// What stands where a value is left out.
  public static let hidden = "(secret, not shown)"

  private static let words: Set<String> = [
    "TOKEN", "SECRET", "SECRETS", "PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE", "PWD", "CREDENTIAL", "CREDENTIALS",
    "APIKEY", "AUTH", "AUTHORIZATION", "BEARER", "COOKIE", "KEY", "DSN", "SIGNATURE",
  ]
  /// Also at the end of a word: `HFTOKEN`, `DBPASSWORD`.
  private static let endings = ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "APIKEY"]
  /// Variables of everybody's environment that have such a word in their name.
  private static let harmless: Set<String> = ["PWD", "OLDPWD", "SSH_AUTH_SOCK"]

  /// Whether a variable of this name probably holds a secret: `WANDB_API_KEY`, `db-password`, `hfToken`.
  ///
  /// Not `TOKENIZERS_PARALLELISM` nor `MAX_TOKENS`, which training programs have.
  public static func isSecret(variable name: String) -> Bool {
    guard !harmless.contains(name) else { return false }
    return parts(of: name).contains { part in words.contains(part) || endings.contains { part.hasSuffix($0) } }
  }

  private static let fileNames: Set<String> = [
    ".env", ".netrc", ".npmrc", ".pypirc", ".pgpass", ".git-credentials", ".htpasswd", "credentials",
    "credentials.json",
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "kubeconfig",
  ]
  private static let fileEndings = [".pem", ".key", ".p12", ".pfx", ".jks", ".kdbx", ".gpg", ".ppk", ".keystore"]

  /// Whether a file of this path probably holds secrets, and is not to be sent anywhere unasked.
  public static func isSecret(file path: String) -> Bool {
    let name = (path.split(separator: "/").last.map(String.init) ?? path).lowercased()
    if fileNames.contains(name) || name.hasPrefix(".env.") { return true }
    if fileEndings.contains(where: name.hasSuffix) { return true }
    let stem = name.split(separator: ".").first.map(String.init) ?? ""
    return ["secret", "secrets", "password", "passwords", "token"].contains(stem)
  }

  /// `env` as it may be shown: names of secrets, never their values.
  public static func withoutSecrets(_ environment: [String: String]) -> [String: String] {
    Dictionary(uniqueKeysWithValues: environment.map { ($0, isSecret(variable: $0) ? hidden : $1) })
  }

  /// Values shorter than this are only looked for behind their name: `1` is part of too much else.
  private static let unmistakable = 6

  /// `text` with the values of secrets of `environment` replaced; nil where one of them is not found on a line with its name,
  /// as where it is written with escapes or goes on over several lines.
  public static func withoutSecrets(_ text: String, of environment: [String: String]) -> String? {
    let secrets = environment.filter { isSecret(variable: $0.key) && !$0.value.isEmpty }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    // The longest first: one may be part of another.
    for (name, value) in secrets.sorted(by: { ($0.value.utf8.count, $0.key) > ($1.value.utf8.count, $1.key) }) {
      var isFound = false
      for index in lines.indices {
        guard let named = lines[index].firstRange(of: name) else { continue }
        let rest = lines[index][named.upperBound...]
        guard let place = rest.firstRange(of: value) else { continue }
        lines[index] = lines[index][..<place.lowerBound] + hidden + lines[index][place.upperBound...]
        isFound = true
      }
      guard isFound else { return nil }
      guard value.utf8.count >= unmistakable else { continue }
      for index in lines.indices {
        lines[index] = lines[index].split(separator: value, omittingEmptySubsequences: false).joined(separator: hidden)
      }
    }
    return lines.joined(separator: "\n")
  }

  /// The words of a name, in capitals, parted at signs and where a capital follows a small letter.
  private static func parts(of name: String) -> [String] {
    var parts: [String] = []
    var part = ""
    var wasSmall = false
    for character in name {
      let isWord = character.isLetter || character.isNumber
      if !isWord || (character.isUppercase && wasSmall) {
        if !part.isEmpty { parts.append(part) }
        part = ""
      }
      if isWord { part += character.uppercased() }
      wasSmall = character.isLowercase
    }
    return part.isEmpty ? parts : parts + [part]
  }
}

import Testing

@testable import Commands

@Suite struct JobFileOverrideTests {
  @Test func replacesAKeyWithAllThatBelongsToIt() {
    let file = "# mine\nname: >\n  a long\n  name\nresources:\n  name: inner\n"
    #expect(
      JobFileOverride.set("name", to: "'x'", in: file) == "# mine\nname: 'x'\nresources:\n  name: inner\n")
  }

  @Test func addsAKeyBeforeTheFirstOne() {
    #expect(
      JobFileOverride.set("priority", to: "80", in: "---\n# c\nname: a\n") == "---\n# c\npriority: 80\nname: a\n")
  }

  @Test(arguments: ["{name: a}", "- a\n- b\n", "", "# only a comment\n", "\"name\": a\n"])
  func refusesWhatIsNoBlockMapping(_ file: String) {
    #expect(JobFileOverride.set("name", to: "'x'", in: file) == nil)
  }

  @Test func quotesAnyName() {
    #expect(JobFileOverride.quoted("it's: #1") == "'it''s: #1'")
    #expect(JobFileOverride.quoted("") == "''")
  }
}

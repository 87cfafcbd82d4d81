import Domain
import Foundation
import Testing
import Wire

@testable import ObjectStorage

/// Signatures, against the examples that AWS and OpenStack publish, and the pure values beside them.
struct SigningTests {
  // From "Signature calculations for the Authorization header" of the Amazon S3 API reference.
  private let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
  private let scope = SigV4.Scope(seconds: 1_369_353_600, region: "us-east-1")
  private let empty = ContentSummary.empty.sha256

  private func signature(_ call: HTTPCall, payload: String) -> String {
    let key = SigV4.dayKey(secret: secret, day: "20130524", region: "us-east-1")
    return SigV4.sign(call, payload: payload, scope: scope, key: key).hex
  }

  private func call(_ method: String, _ path: String, _ headers: [(name: String, value: String)] = []) -> HTTPCall {
    var call = HTTPCall(method: method, origin: "https://examplebucket.s3.amazonaws.com", path: path)
    call.headers = [("host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", "20130524T000000Z")] + headers
    return call
  }

  @Test func signsGetObjectAsAmazonDoes() {
    let call = call("GET", "/test.txt", [("range", "bytes=0-9"), ("x-amz-content-sha256", empty)])
    #expect(
      signature(call, payload: empty) == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
  }

  @Test func signsPutObjectAsAmazonDoes() {
    let payload = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
    var call = call(
      "PUT", "/test$file.text", [("x-amz-storage-class", "REDUCED_REDUNDANCY"), ("x-amz-content-sha256", payload)])
    call.set("date", "Fri, 24 May 2013 00:00:00 GMT")
    #expect(ContentHash.of(Array("Welcome to Amazon S3.".utf8)) == payload)
    #expect(
      signature(call, payload: payload) == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
  }

  @Test func signsQueriesAsAmazonDoes() {
    var lifecycle = call("GET", "/", [("x-amz-content-sha256", empty)])
    lifecycle.query = [("lifecycle", "")]
    #expect(
      signature(lifecycle, payload: empty) == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
    var list = call("GET", "/", [("x-amz-content-sha256", empty)])
    list.query = [("prefix", "J"), ("max-keys", "2")]
    #expect(
      signature(list, payload: empty) == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
  }

  @Test func presignsAsAmazonDoes() throws {
    let dialect = S3Dialect(
      endpoint: "https://s3.amazonaws.com", region: "us-east-1", bucket: "examplebucket", isVirtualHosted: true,
      accessKey: "AKIAIOSFODNN7EXAMPLE", sessionToken: nil, key: .secret(secret), clock: { 1_369_353_600 })
    let url = try dialect.presign(HTTPCall(method: "GET", origin: "", path: "/test.txt"), seconds: 86_400)
    #expect(url.hasPrefix("https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&"))
    #expect(url.hasSuffix("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"))
  }

  @Test func derivesADaysKeyAsAmazonDoes() {
    // From "Examples of how to derive a signing key for Signature Version 4".
    let key = SigV4.dayKey(
      secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", day: "20120215", region: "us-east-1", service: "iam")
    #expect(key.hexadecimal == "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d")
  }

  @Test func derivesAKeyForEveryDayOfALease() throws {
    let days = S3DayKeys.derive(
      secret: secret, region: "us-east-1", from: try Timestamp(iso8601: "2026-02-27T23:59:59Z"),
      until: try Timestamp(iso8601: "2026-03-01T00:00:00Z"))
    #expect(days.map(\.day) == ["20260227", "20260228", "20260301"])
    #expect(Set(days.map(\.key)).count == 3)
  }

  @Test func signsTemporaryURLs() {
    // Computed with `hmac.new(b"mykey", b"GET\n1795257911\n/v1/AUTH_a/c/o", "sha256")`.
    #expect(
      TempURL.sign(key: "mykey", method: "GET", path: "/v1/AUTH_a/c/o", expires: 1_795_257_911)
        == "d75402b654971892a1cfce2036a6faf4a80b2eb34d77183e1a11a1bf23350d89")
  }

  @Test func learnsTheStoresClockOnce() async throws {
    let dialect = S3Dialect(
      endpoint: "http://s3", region: "us-east-1", bucket: "bucket", isVirtualHosted: false, accessKey: "a",
      sessionToken: nil, key: .secret("s"), clock: { 1_000_000 })
    let body = Array("<Error><Code>RequestTimeTooSkewed</Code></Error>".utf8)
    let answer = HTTPAnswer(status: 403, headers: ["date": "Sat, 21 Nov 2026 10:45:10 GMT"], body: body)
    let call = HTTPCall(method: "GET", origin: "", path: "/k")
    #expect(await dialect.mayBelieve(afterRefusal: answer, of: call))
    #expect(HTTPDate.compact(dialect.now) == "20261121T104510Z")
    #expect(await !dialect.mayBelieve(afterRefusal: answer, of: call))
    let other = HTTPAnswer(status: 403, headers: answer.headers, body: Array("<Error><Code>X</Code></Error>".utf8))
    #expect(await !dialect.mayBelieve(afterRefusal: other, of: call))
    #expect(try await dialect.sign(call).header("x-amz-date") == "20261121T104510Z")
  }

  @Test(arguments: [0, 951_782_400, 1_709_251_199, 4_102_444_800, 1_795_257_910] as [Int64])
  func writesAndReadsDates(seconds: Int64) {
    #expect(HTTPDate.seconds(HTTPDate.fields(seconds)) == seconds)
    let text = HTTPDate.compact(seconds)
    let digits = text.filter(\.isNumber)
    #expect(digits.count == 14)
    #expect(HTTPDate.parse("Sat, 21 Nov 2026 10:45:10 GMT") == 1_795_257_910)
    #expect(HTTPDate.parseISO("2026-11-21T10:45:10.000000Z") == 1_795_257_910)
    #expect(HTTPDate.parse("Sat, 21 Nov 2026 25:45:10 GMT") == nil)
  }
}

// swift-tools-version: 6.2
import PackageDescription

// The layers of docs/design/0001-structure.md, bottom to top. A target names every module it imports:
// `make check` builds with --explicit-target-dependency-import-check error, so an import that is not
// listed here does not compile.

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .treatAllWarnings(as: .error),
]

/// Numeric code is hopeless without the optimiser, so it is optimised in debug builds too.
let optimised: [SwiftSetting] = strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]

let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "baton",
  products: [
    .executable(name: "baton", targets: ["baton"]),
    .executable(name: "batond", targets: ["batond"]),
    .executable(name: "baton-agent", targets: ["baton-agent"]),
    .executable(name: "baton-train", targets: ["baton-train"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-async-algorithms", from: "1.1.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
    .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // Layer 0: C libraries. A module map and a shim header, nothing else.
    .systemLibrary(name: "CPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(name: "CSSH2", pkgConfig: "libssh2", providers: [.apt(["libssh2-1-dev"])]),
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),

    .systemLibrary(name: "CLinux"),

    // Layer 1: values.
    .target(name: "Domain", swiftSettings: strict),
    .target(name: "Wire", dependencies: ["Domain"], swiftSettings: strict),

    // Layer 2: decisions, and thin wrappers of the C libraries.
    .target(name: "Scheduling", dependencies: ["Domain"], exclude: ["README.md"], swiftSettings: strict),
    .target(name: "JobFile", dependencies: ["Domain", "Yams"], swiftSettings: strict),
    .target(name: "Postgres", dependencies: ["CPQ"], swiftSettings: strict),
    .target(name: "SSH", dependencies: ["CSSH2"], swiftSettings: strict),
    .target(name: "LinearAlgebra", dependencies: ["COpenBLAS"], swiftSettings: optimised),

    // Layer 3: one outside thing each.
    .target(name: "Store", dependencies: ["Domain", "Postgres", crypto], swiftSettings: strict),
    .target(
      name: "ObjectStorage",
      dependencies: [
        "Domain", "Wire", "CLinux", crypto,
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ], swiftSettings: strict),
    .target(name: "Launching", dependencies: ["Domain", "Wire", "SSH", crypto], swiftSettings: strict),
    .target(
      name: "NodeAgent", dependencies: ["Domain", "Wire", "ObjectStorage", "CLinux", crypto], exclude: ["README.md"],
      swiftSettings: strict),
    .target(
      name: "APIClient",
      dependencies: [
        "Domain", "Wire",
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOFoundationCompat", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
      ], swiftSettings: strict),
    .target(
      name: "Dashboard",
      dependencies: ["Domain", "Wire", .product(name: "Mustache", package: "swift-mustache")],
      resources: [.embedInCode("Templates"), .embedInCode("Assets")],
      swiftSettings: strict),
    .target(name: "Exporting", dependencies: ["Domain", "Wire"], swiftSettings: strict),
    .target(name: "Lab", dependencies: ["Domain", "Postgres", "CLinux"], swiftSettings: strict),

    // Layer 4: the two programs a person meets.
    .target(
      name: "Daemon",
      dependencies: [
        "Domain", "Wire", "Scheduling", "JobFile", "Postgres", "Store", "ObjectStorage", "SSH", "Launching",
        "Dashboard",
        log, crypto, arguments,
        .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOFoundationCompat", package: "swift-nio"),
        .product(name: "NIOFoundationEssentialsCompat", package: "swift-nio"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ], swiftSettings: strict),
    .target(
      name: "Commands",
      dependencies: [
        "Domain", "Wire", "APIClient", "ObjectStorage", "Lab", "Exporting", "Dashboard", crypto, arguments,
      ], swiftSettings: strict),

    // Layer 5: @main and wiring.
    .executableTarget(name: "baton", dependencies: ["Commands"], swiftSettings: strict),
    .executableTarget(name: "batond", dependencies: ["Daemon"], swiftSettings: strict),
    .executableTarget(name: "baton-agent", dependencies: ["NodeAgent"], swiftSettings: strict),

    // Beside the layers: a training program that knows nothing of Baton but its contract.
    .target(name: "ReferenceTrainer", dependencies: ["LinearAlgebra"], swiftSettings: optimised),
    .executableTarget(name: "baton-train", dependencies: ["ReferenceTrainer"], swiftSettings: optimised),

    // Measurements: `make bench NAME=...`.
    .executableTarget(
      name: "baton-bench",
      dependencies: ["Lab", "SSH", "APIClient", "ObjectStorage", "Store", "Postgres", "Wire", "Domain", arguments],
      path: "benchmarks/Sources", swiftSettings: strict),

    // Tests.
    .target(
      name: "TestKit", dependencies: ["Domain", "Postgres", "SSH"], path: "Tests/TestKit", swiftSettings: strict),
    .testTarget(name: "DomainTests", dependencies: ["Domain", "TestKit"], swiftSettings: strict),
    .testTarget(name: "WireTests", dependencies: ["Wire", "Domain"], swiftSettings: strict),
    .testTarget(name: "SchedulingTests", dependencies: ["Scheduling", "Domain", "TestKit"], swiftSettings: strict),
    .testTarget(name: "JobFileTests", dependencies: ["JobFile", "Domain"], swiftSettings: strict),
    .testTarget(name: "PostgresTests", dependencies: ["Postgres", "TestKit"], swiftSettings: strict),
    .testTarget(name: "StoreTests", dependencies: ["Store", "Postgres", "Domain", "TestKit"], swiftSettings: strict),
    .testTarget(name: "SSHTests", dependencies: ["SSH", "TestKit"], swiftSettings: strict),
    .testTarget(
      name: "LaunchingTests", dependencies: ["Launching", "Domain", "Wire", "SSH", "TestKit"], swiftSettings: strict),
    .testTarget(
      name: "ObjectStorageTests", dependencies: ["ObjectStorage", "Wire", "Domain", "TestKit"], swiftSettings: strict),
    .testTarget(
      name: "NodeAgentTests", dependencies: ["NodeAgent", "ObjectStorage", "Wire", "Domain", "TestKit"],
      swiftSettings: strict),
    .testTarget(
      name: "ReferenceTrainerTests", dependencies: ["ReferenceTrainer", "LinearAlgebra", "baton-train", "TestKit"],
      swiftSettings: strict),
    .testTarget(name: "LabTests", dependencies: ["Lab", "Domain", "Postgres", "TestKit"], swiftSettings: strict),
    .testTarget(
      name: "CommandsTests", dependencies: ["Commands", "APIClient", "JobFile", "Wire", "Domain", arguments],
      swiftSettings: strict),
    .testTarget(name: "ExportingTests", dependencies: ["Exporting", "Wire", "Domain"], swiftSettings: strict),
    .testTarget(name: "DashboardTests", dependencies: ["Dashboard", "Wire", "Domain"], swiftSettings: strict),
    .testTarget(
      name: "DaemonTests",
      dependencies: [
        "Daemon", "Wire", "Domain", "Store", "ObjectStorage", "SSH",
        .product(name: "HTTPTypes", package: "swift-http-types"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "SystemTests",
      dependencies: ["Lab", "APIClient", "ObjectStorage", "Wire", "Domain", "Postgres", "TestKit"],
      exclude: ["Programs"], swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)

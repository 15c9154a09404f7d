// swift-tools-version: 6.1
import PackageDescription

/// A machine runs on one thread, and its parts call each other at each access to a device: what looks for overlapping accesses to
/// their state at run time would take a tenth of a kernel's boot. Debug builds look.
let singleThreaded: [SwiftSetting] = [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

let package = Package(
    name: "hindsight",
    products: [.executable(name: "hindsight", targets: ["hindsight"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        // The line of modules: each imports only what stands above it.
        .systemLibrary(name: "CZydis"),
        .systemLibrary(name: "CXXHash"),
        .systemLibrary(name: "CZstd"),
        // The host's own floating-point instructions.
        .target(name: "CHostFloat"),
        // Memory for code, mapped twice, and what the host executes.
        .target(name: "CHostCode"),
        .target(name: "X86", dependencies: ["CZydis", "CHostFloat", "CHostCode"], swiftSettings: singleThreaded),
        .target(name: "Devices", dependencies: ["X86"], swiftSettings: singleThreaded),
        .target(name: "VirtualPC", dependencies: ["Devices", "CXXHash"], swiftSettings: singleThreaded),
        .target(name: "TraceFormat", dependencies: ["VirtualPC", "CXXHash", "CZstd"]),
        .target(
            name: "RecordReplay",
            dependencies: ["TraceFormat", .product(name: "SystemPackage", package: "swift-system")], swiftSettings: singleThreaded),
        .target(name: "Analysis", dependencies: ["RecordReplay"]),
        .executableTarget(
            name: "hindsight",
            dependencies: [
                "Analysis", "RecordReplay", "Guests",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        // Guests of our own, in assembly: the demo and the benchmark kernels.
        .target(name: "Guests"),

        // What the tests stand on: small guests, and the host's CPU as an oracle.
        .target(name: "TestGuests", dependencies: ["Guests"], path: "Tests/Guests"),
        .target(name: "CHostCPU", path: "Tests/HostCPU"),
        .target(name: "NativeOracle", dependencies: ["X86", "CHostCPU", "CZydis"], path: "Tests/NativeOracle"),
        .executableTarget(
            name: "oracle",
            dependencies: ["NativeOracle", "X86", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Tests/oracle"),

        // The proofs that are too long for the test suite.
        .executableTarget(
            name: "soak",
            dependencies: ["RecordReplay", "Guests", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Tests/soak", exclude: ["expected-amd64.txt", "expected-i386.txt"]),

        // What dispatch costs with as many handlers as an instruction set has.
        .executableTarget(name: "dispatch-bench", path: "Tests/DispatchBench"),

        .testTarget(name: "X86Tests", dependencies: ["X86", "NativeOracle"], exclude: ["Cases"]),
        .testTarget(name: "DevicesTests", dependencies: ["Devices"]),
        .testTarget(name: "VirtualPCTests", dependencies: ["VirtualPC", "TestGuests"]),
        .testTarget(name: "TraceFormatTests", dependencies: ["TraceFormat"]),
        .testTarget(
            name: "RecordReplayTests",
            dependencies: ["RecordReplay", "TestGuests", .product(name: "SystemPackage", package: "swift-system")]),
        .testTarget(name: "AnalysisTests", dependencies: ["Analysis", "TestGuests"]),
        .testTarget(name: "CommandTests", dependencies: ["hindsight", "Guests", "TestGuests", "RecordReplay"]),
    ]
)

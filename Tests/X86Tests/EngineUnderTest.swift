import NativeOracle
import Testing
import X86

/// The engine that guests of the running test get, if the test does not say which.
enum EngineUnderTest {
    @TaskLocal static var knobs = EngineKnobs()
}

/// Runs each test of a suite on the interpreter, then on the translator, which translates each instruction alone.
struct BothEngines: SuiteTrait, TestTrait, TestScoping {
    let isRecursive = true

    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        try await function()
        try await EngineUnderTest.$knobs.withValue(.translatedSingly) { try await function() }
    }
}

extension Trait where Self == BothEngines {
    static var bothEngines: Self { BothEngines() }
}

import NativeOracle
import Testing

/// The sandbox that runs bytes on the host: it must tell the truth before anything is held against it.
@Suite("The host's CPU as an oracle")
struct HostSandboxTests {
    private static func run(_ mode: Mode, _ bytes: [UInt8], _ change: (inout Trial) -> Void = { _ in }) throws -> Outcome {
        var trial = Trial(mode: mode, bytes: bytes)
        change(&trial)
        return try HostExecutor().run([trial])[0]
    }

    @Test("ADD gives sum and flags in each mode", arguments: Mode.allCases)
    func add(mode: Mode) throws {
        let outcome = try Self.run(mode, [0x01, 0xc8]) {
            $0.registers.gpr[0] = 0xffff_ffff
            $0.registers.gpr[1] = 1
        }
        #expect(outcome.ending == .retired)
        #expect(outcome.registers.gpr[0] & 0xffff == 0)
        #expect(outcome.registers.rip == (mode == .bits16 ? 0x8002 : 0x18002))
        let flags = Flags(rawValue: outcome.registers.rflags).intersection(.status)
        #expect(flags == [.cf, .pf, .af, .zf])
    }

    @Test("a store is seen at its linear address, and the next trial does not see it", arguments: Mode.allCases)
    func store(mode: Mode) throws {
        let host = try HostExecutor()
        var trial = Trial(mode: mode, bytes: mode == .bits16 ? [0x88, 0x07] : [0x88, 0x03])
        trial.registers.gpr[0] = 0x5a
        trial.registers.gpr[3] = UInt64(Sandbox.data) + 0x123 - mode.segmentBase
        let first = try host.run([trial])[0]
        #expect(first.changes == [MemoryChange(address: Sandbox.data + 0x123, value: 0x5a)])
        trial.registers.gpr[0] = 0
        #expect(try host.run([trial])[0].changes == [])
    }

    @Test("faults come with vector, error code and CR2", arguments: Mode.allCases)
    func faults(mode: Mode) throws {
        let divide = try Self.run(mode, [0xf7, 0xf1])
        #expect(divide.ending == .exception(vector: 0, errorCode: 0, address: 0))
        let write = try Self.run(mode, mode == .bits16 ? [0x88, 0x07] : [0x88, 0x03]) {
            $0.registers.gpr[3] = UInt64(Sandbox.readOnly) - mode.segmentBase
        }
        #expect(write.ending == .exception(vector: 14, errorCode: 7, address: UInt64(Sandbox.readOnly)))
        let privileged = try Self.run(mode, [0xf4])
        #expect(privileged.ending == .exception(vector: 13, errorCode: 0, address: 0))
    }

    @Test("an endless loop ends, and registers clobbered on the way harm nothing", arguments: Mode.allCases)
    func endless(mode: Mode) throws {
        let host = try HostExecutor()
        var clobber = Trial(mode: mode, bytes: [0x31, 0xe4, 0xeb, 0xfe])
        clobber.registers.gpr[5] = .max
        let outcomes = try host.run([clobber, Trial(mode: mode, bytes: [0x90])])
        #expect(outcomes[0].ending == .endless)
        #expect(outcomes[1].ending == .retired)
    }

    @Test("a child that dies is reported for its trial alone, and the batch goes on")
    func death() throws {
        let host = try HostExecutor()
        // A selector that the sandbox cannot load kills the child before the trial begins.
        var deadly = Trial(mode: .bits64, bytes: [0x90])
        deadly.registers.ds = 0xfff7
        let fine = Trial(mode: .bits64, bytes: [0x90])
        let outcomes = try host.run([fine, deadly, fine])
        #expect(outcomes.map(\.ending) == [.retired, .died(signal: 11), .retired])
    }

    @Test("x87 state goes in and comes out")
    func x87() throws {
        var image = [UInt8](repeating: 0, count: 512)
        image.replaceSubrange(0..<2, with: [0x7f, 0x03])
        image.replaceSubrange(24..<26, with: [0x80, 0x1f])
        let outcome = try Self.run(.bits64, [0xd9, 0xe8]) { $0.fx = image }
        #expect(outcome.fx?[32..<42] == [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f])
    }
}

import TestGuests
import Testing
import VirtualPC
import X86

/// How a run of a test guest ended, and what it printed.
private struct GuestRun {
    let stop: Machine.Stop
    let console: String
    let position: Position

    /// Runs the test guest called `name` without input, for at most `steps`.
    init(_ name: String, cpu: String = "i686", steps: UInt64 = 50_000_000) throws {
        let guest = try #require(hs_test_guest_named(name)?.pointee)
        let bytes = [UInt8](UnsafeBufferPointer(start: guest.bytes, count: Int(guest.length)))
        let source = BootSource.flat(ImageFile(name: name, bytes: bytes), address: UInt64(HS_GUEST_ADDRESS), mode: .protected)
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 16 << 20
        manifest.cpu = cpu
        let machine = try Machine(manifest: manifest)
        try machine.load(source)
        var printed: [UInt8] = []
        machine.console = { port, byte in if port == 0 { printed.append(byte) } }
        stop = machine.run(until: Position(steps), source: NoEvents())
        console = String(decoding: printed, as: UTF8.self)
        position = machine.position
    }
}

/// Our own guests check themselves, against the manual; their checks were tried on other machines first.
@Suite struct GuestTests {
    private func expectAllChecks(of name: String, cpu: String = "i686", atLeast least: Int) throws {
        let run = try GuestRun(name, cpu: cpu)
        #expect(run.stop == .ended(.debugExit, detail: "0"), "\(run.console)")
        let checks = run.console.split(separator: "\n").last?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        #expect(try #require(checks) >= least, "\(run.console)")
    }

    @Test("All modes up to virtual-8086 are entered and left") func modes() throws { try expectAllChecks(of: "modes", atLeast: 100) }

    @Test("All modes up to 64-bit are entered and left")
    func longModes() throws { try expectAllChecks(of: "modes", cpu: "x86-64-v1", atLeast: 120) }

    @Test("64-bit mode is as the manual says") func long() throws { try expectAllChecks(of: "long", cpu: "x86-64-v1", atLeast: 216) }

    @Test("R8, R10: page faults, and accessed and dirty bits") func paging() throws { try expectAllChecks(of: "paging", atLeast: 197) }

    @Test("Each exception has its error code and can be restarted")
    func faults() throws {
        try expectAllChecks(of: "faults", atLeast: 386)
    }

    @Test("R9: a store to code is seen by the next step") func selfmod() throws { try expectAllChecks(of: "selfmod", atLeast: 31) }

    @Test("R1: REP is interrupted between iterations, by the timer and by page faults")
    func rep() throws { try expectAllChecks(of: "rep", atLeast: 81) }

    @Test("R21: STI and MOV SS shadow one step") func shadow() throws { try expectAllChecks(of: "shadow", atLeast: 40) }

    @Test("R21: TF, DR0-3 and RF are per the manual") func debug() throws { try expectAllChecks(of: "debug", atLeast: 126) }

    @Test("R7: a changed page table is seen without INVLPG") func stale() throws { try expectAllChecks(of: "stale", atLeast: 53) }

    @Test("R7: a change of address space leaves nothing of the one before") func spaces() throws { try expectAllChecks(of: "spaces", atLeast: 9) }

    @Test("R1, R10: hardware task switches are per the manual") func tasks() throws { try expectAllChecks(of: "tasks", atLeast: 130) }

    @Test("Virtual-8086 mode and its extensions are per the manual") func v86() throws { try expectAllChecks(of: "v86", atLeast: 175) }

    @Test("Interrupts of the chips come in order, nest and wake") func irq() throws { try expectAllChecks(of: "irq", atLeast: 46) }

    @Test("Local APIC, I/O APIC and HPET are per their manuals", arguments: [("x86-64-v1", 61), ("x86-64-v2", 67)])
    func apic(cpu: String, least: Int) throws { try expectAllChecks(of: "apic", cpu: cpu, atLeast: least) }

    @Test("R1: a loop of faults that retires nothing makes steps")
    func faultLoop() throws {
        let run = try GuestRun("faultloop", steps: 1_000_000)
        #expect(run.stop == .reached)
        #expect(run.position == Position(1_000_000))
        #expect(run.console == "looping\n")
    }

    @Test("A triple fault ends the run")
    func triple() throws {
        let run = try GuestRun("triple")
        guard case .ended(.tripleFault, _) = run.stop else {
            Issue.record("the run ended otherwise: \(run.stop)")
            return
        }
        #expect(run.console == "tripling\n")
    }
}

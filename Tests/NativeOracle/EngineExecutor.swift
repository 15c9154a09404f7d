import Glibc
import X86

/// Runs trials on an engine of ours: at CPL 3 under paging, with the sandbox's memory and segments at the same linear
/// addresses as on the host. Each exception goes through the IDT to a loop at CPL 0, and is read off the frame there.
package final class EngineExecutor: Executor {
    package let name: String
    package let leavesUndefined = false
    package let followsRulings = true
    private let processor: Processor
    private let engine: any Engine
    /// Whether trials find their memory in the TLB, where that can be.
    private let isWarm: Bool
    private let bus = NoBus()
    private let kernel: UserModeKernel
    /// What the sandbox's memory holds before the running trial, by `Sandbox.memory`.
    private var before: MemoryImage
    private var background: UInt64 = 0
    private var backgroundImage: MemoryImage

    /// The steps after which a trial counts as endless: more than the longest REP within the sandbox makes.
    private static let stepLimit: UInt64 = 200_000

    /// An executor for trials of one kind: 64-bit ones need long mode; the others run there in compatibility mode, or in
    /// legacy protected mode with PAE.
    package init(kernel: UserModeKernel.Kind, knobs: EngineKnobs = EngineKnobs(), isWarm: Bool = false) throws {
        name = (knobs.engine == .interpret ? "interpreter" : "translator") + (kernel == .long ? "" : " (legacy)")
        self.isWarm = isWarm
        self.kernel = UserModeKernel(kind: kernel)
        let memory = try PhysicalMemory(byteCount: 4 << 20)
        processor = Processor(model: .x8664v2, memory: memory, knobs: knobs)
        processor.bus = bus
        engine = try knobs.engine(of: processor)
        backgroundImage = MemoryImage(bytes: Sandbox.background(seed: 0))
        before = backgroundImage
        for part in self.kernel.structures { memory.write(part.address, part.bytes) }
        memory.write(PhysicalAddress(UInt64(Sandbox.code)), [UInt8](repeating: 0xcc, count: Int(Sandbox.page)))
    }

    /// Steps that ran translated.
    package var translatedSteps: UInt64 { (engine as? Translator)?.translatedSteps ?? 0 }

    package func run(_ trials: [Trial]) throws -> [Outcome] {
        for trial in trials {
            if let unknown = trial.system.first(where: { !SystemFields.names.contains($0.name) }) {
                throw OracleError.unknownField(unknown.name)
            }
        }
        return trials.map(run)
    }

    private func run(_ trial: Trial) -> Outcome {
        place(trial)
        let start = kernel.state(for: trial)
        let warmUp = isWarm ? WarmUp(for: trial) : nil
        begin(start, of: trial, after: warmUp)
        let ending = runToHandler()
        var state = processor.state
        var outcome: Outcome
        if let ending {
            outcome = Outcome(ending: ending, registers: Registers(state))
        } else {
            outcome = readFrame(&state, of: trial)
        }
        if trial.fx != nil { outcome.fx = state.fpu.fxImage }
        takeChanges(into: &outcome)
        if !trial.system.isEmpty {
            outcome.system = SystemFields.changes(from: start, to: state)
            // Delivery itself writes CR2.
            if case .exception(14, _, _) = outcome.ending { outcome.system.removeAll { $0.name == "cr2" } }
        }
        erase(at: trial.address, count: trial.bytes.count)
        if let warmUp { erase(at: warmUp.address, count: warmUp.bytes.count) }
        return outcome
    }

    /// Brings the processor to the start of a trial.
    private func begin(_ start: State, of trial: Trial, after warmUp: WarmUp?) {
        processor.state = start
        guard let warmUp else { return }
        processor.memory.write(PhysicalAddress(UInt64(warmUp.address)), warmUp.bytes)
        var state = start
        state.rip = start.rip &+ UInt64(warmUp.address) &- UInt64(trial.address)
        processor.state = state
        let exit = engine.run(until: Position(warmUp.steps))
        precondition(
            exit == .position && processor.state.rip == start.rip,
            "the warm-up of \(start.rip) ends with \(exit) at \(processor.state.rip), flags \(start.rflags)")
    }

    private func erase(at address: UInt32, count: Int) {
        processor.memory.write(PhysicalAddress(UInt64(address)), [UInt8](repeating: 0xcc, count: count))
    }

    private func place(_ trial: Trial) {
        if trial.background != background {
            background = trial.background
            backgroundImage = MemoryImage(bytes: Sandbox.background(seed: background))
            writeMemory(backgroundImage.bytes[...], from: 0)
        }
        before = backgroundImage
        before.apply(trial.memory)
        for part in trial.memory {
            for (offset, byte) in part.bytes.enumerated() {
                let address = part.address &+ UInt32(offset)
                if MemoryImage.index(of: address) != nil { processor.memory.write(PhysicalAddress(UInt64(address)), [byte]) }
            }
        }
        processor.memory.write(PhysicalAddress(UInt64(trial.address)), trial.bytes)
    }

    /// Writes a piece of the memory image at its addresses.
    private func writeMemory(_ bytes: ArraySlice<UInt8>, from index: Int) {
        var start = 0
        for range in Sandbox.memory {
            let part = (start..<start + range.count).clamped(to: index..<index + bytes.count)
            if !part.isEmpty {
                let address = UInt64(range.lowerBound) + UInt64(part.lowerBound - start)
                let slice = bytes[bytes.startIndex + part.lowerBound - index..<bytes.startIndex + part.upperBound - index]
                processor.memory.write(PhysicalAddress(address), Array(slice))
            }
            start += range.count
        }
    }

    /// Nil once an exception handler has been entered.
    private func runToHandler() -> Ending? {
        let start = processor.position
        var limit: UInt64 = 4
        while true {
            switch engine.run(until: start.advanced(by: limit)) {
            case .attention: continue
            case .halted: return .retired
            case .tripleFault: return .stopped("triple fault")
            case .unimplemented: return .unimplemented
            case .position:
                if kernel.vector(atHandler: processor.state.rip) != nil { return nil }
                if limit > Self.stepLimit { return .endless }
                limit *= 8
            }
        }
    }

    /// The outcome as the exception frame on the CPL 0 stack shows it (Intel SDM Vol. 3A 6.12.1, 6.14.2).
    private func readFrame(_ state: inout State, of trial: Trial) -> Outcome {
        guard let vector = kernel.vector(atHandler: state.rip) else {
            return Outcome(ending: .stopped("at CPL 0 at 0x" + String(state.rip, radix: 16)), registers: Registers(state))
        }
        var slots = kernel.frame(in: processor.memory, stackPointer: state.gpr[GPR.rsp])
        var errorCode: UInt32 = 0
        let hasErrorCode = CaseException.names.contains { $0.vector == vector && $0.hasErrorCode }
        if hasErrorCode { errorCode = UInt32(truncatingIfNeeded: slots.removeFirst()) }
        var registers = Registers(state)
        registers.rip = slots[0]
        registers.cs = UInt16(truncatingIfNeeded: slots[1])
        registers.rflags = slots[2]
        registers.gpr[4] = slots[3]
        registers.ss = UInt16(truncatingIfNeeded: slots[4])
        var address: UInt64 = 0
        if vector == 14 {
            address = state.cr2
            errorCode = kernel.hostErrorCode(errorCode, at: address)
        }
        var outcome = Outcome(
            ending: .exception(vector: vector, errorCode: errorCode, address: address), registers: registers)
        let at = Sandbox.codeBase(registers.cs) &+ registers.rip &- 1
        let isFill = at &- UInt64(Sandbox.code) < UInt64(Sandbox.page) && at &- UInt64(trial.address) >= UInt64(trial.bytes.count)
        if vector == 3 && isFill {
            outcome.ending = .retired
            outcome.registers.rip &-= 1
        }
        return outcome
    }

    /// Whether a page holds what an image holds from `index` on.
    private static func equal(_ page: UnsafeRawBufferPointer, _ image: [UInt8], from index: Int) -> Bool {
        image.withUnsafeBytes { bytes in
            precondition(index + page.count <= bytes.count, "a page of the image")
            // SAFETY: both sides have page.count bytes.
            return memcmp(page.baseAddress!, bytes.baseAddress! + index, page.count) == 0
        }
    }

    /// Notes what memory the trial changed, and puts the background back.
    private func takeChanges(into outcome: inout Outcome) {
        var start = 0
        for range in Sandbox.memory {
            for page in stride(from: range.lowerBound, to: range.upperBound, by: Int(Sandbox.page)) {
                let index = start + Int(page - range.lowerBound)
                let content = processor.memory.page(processor.memory.pageIndex(of: UInt64(page)))
                if !Self.equal(content, before.bytes, from: index) {
                    for offset in 0..<content.count where content[offset] != before.bytes[index + offset] {
                        outcome.changes.append(MemoryChange(address: page + UInt32(offset), value: content[offset]))
                    }
                }
                if !Self.equal(content, backgroundImage.bytes, from: index) {
                    writeMemory(backgroundImage.bytes[index..<index + content.count], from: index)
                }
            }
            start += range.count
        }
        outcome.changeCount = outcome.changes.count
        if outcome.changes.count > HostExecutor.changeLimit { outcome.changes.removeSubrange(HostExecutor.changeLimit...) }
    }
}

/// No device: what an executor of user-level code is wired to.
private final class NoBus: SystemBus {
    func readPort(_ port: PortNumber, width: Int) -> UInt32 { .max }
    func writePort(_ port: PortNumber, width: Int, value: UInt32) {}
    func readMMIO(_ address: PhysicalAddress, width: Int) -> UInt64 { .max }
    func writeMMIO(_ address: PhysicalAddress, width: Int, value: UInt64) {}
    func acknowledgeInterrupt() -> UInt8 { 0xff }
    func signalNumericError() {}
    func timestampCounter() -> UInt64 { 0x1122_3344_5566_7788 }
}

extension Registers {
    init(_ state: borrowing State) {
        self.init()
        for index in 0..<16 { gpr[index] = state.gpr[index] }
        rip = state.rip
        rflags = state.rflags
        es = state.segments[SegmentIndex.es].selector
        cs = state.segments[SegmentIndex.cs].selector
        ss = state.segments[SegmentIndex.ss].selector
        ds = state.segments[SegmentIndex.ds].selector
        fs = state.segments[SegmentIndex.fs].selector
        gs = state.segments[SegmentIndex.gs].selector
    }
}

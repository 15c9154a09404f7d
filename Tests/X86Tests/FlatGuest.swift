import NativeOracle
import X86

/// A processor with 4 MiB of RAM in one of the three code widths, segments flat and paging only where 64-bit mode needs it, and
/// code at A000H.
final class FlatGuest {
    static let codeAddress: UInt64 = 0xA000

    let memory: PhysicalMemory
    let processor: Processor
    let engine: any Engine
    let bus = RecordingBus()

    init(mode: Int, model: CPUModel = .x8664v1, knobs: EngineKnobs = EngineUnderTest.knobs, code: [UInt8]) throws {
        memory = try PhysicalMemory(byteCount: 4 << 20)
        processor = Processor(model: model, memory: memory, knobs: knobs)
        engine = try knobs.engine(of: processor)
        processor.bus = bus
        bus.processor = processor
        memory.write(PhysicalAddress(Self.codeAddress), code)
        var state = processor.state
        state.rip = Self.codeAddress
        state.gpr[GPR.rsp] = 0x9000
        let data = Segment(selector: 0x10, base: 0, limit: 0xFFFF_FFFF, rights: .flatData32)
        let codeRights: UInt16 = mode == 64 ? 0xA09B : mode == 32 ? 0xC09B : 0x809B
        for index in 0..<6 { state.segments[index] = data }
        state.segments[SegmentIndex.cs] = Segment(
            selector: 8, base: 0, limit: 0xFFFF_FFFF, rights: AccessRights(rawValue: codeRights))
        state.cr0 = CR0.pe | CR0.et
        if mode == 64 {
            // 2 MiB pages, supervisor and user, writable, for the lowest 1 GiB.
            memory.write(PhysicalAddress(0x1000), bytes(0x2007))
            memory.write(PhysicalAddress(0x2000), bytes(0x3007))
            for index: UInt64 in 0..<512 { memory.write(PhysicalAddress(0x3000 + 8 * index), bytes(index << 21 | 0x87)) }
            state.cr0 |= CR0.pg
            state.cr3 = 0x1000
            state.cr4 = CR4.pae
            state.efer = EFER.lme | EFER.lma
        }
        processor.state = state
    }

    func run(_ steps: UInt64) -> Exit { engine.run(until: processor.position.advanced(by: steps)) }

    /// Runs single steps, so that what the fast loop does at once is done one by one.
    func runSingly(_ steps: UInt64) -> Exit {
        for _ in 0..<steps {
            let exit = engine.run(until: processor.position.advanced(by: 1))
            if exit != .position && exit != .attention { return exit }
        }
        return .position
    }

    func read(_ address: UInt64, _ count: Int) -> [UInt8] { memory.read(PhysicalAddress(address), count: count) }
    func write(_ address: UInt64, _ bytes: [UInt8]) { memory.write(PhysicalAddress(address), bytes) }

    func bytes(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

    subscript(_ register: Int) -> UInt64 {
        get { processor.state.gpr[register] }
        set {
            var state = processor.state
            state.gpr[register] = newValue
            processor.state = state
        }
    }
}

/// A bus whose devices read as a running number and which remembers every access with the position it was made at.
final class RecordingBus: SystemBus {
    struct Access: Equatable {
        var position: UInt64
        var place: UInt64
        var width: Int
        var written: UInt64?
    }

    unowned(unsafe) var processor: Processor?
    var accesses: [Access] = []
    var timestamp: UInt64 = 0
    private var next: UInt64 = 0x11

    private func note(_ place: UInt64, _ width: Int, _ written: UInt64?) {
        // Of what is written only the bytes of the access count.
        let bytes = written.map { $0 & UInt64.max >> (64 - 8 * UInt64(width)) }
        accesses.append(Access(position: processor?.position.rawValue ?? 0, place: place, width: width, written: bytes))
    }

    private func answer() -> UInt64 {
        defer { next &+= 0x11 }
        return next
    }

    func readPort(_ port: PortNumber, width: Int) -> UInt32 {
        note(UInt64(port), width, nil)
        return UInt32(truncatingIfNeeded: answer())
    }

    func writePort(_ port: PortNumber, width: Int, value: UInt32) { note(UInt64(port), width, UInt64(value)) }

    func readMMIO(_ address: PhysicalAddress, width: Int) -> UInt64 {
        note(address.rawValue, width, nil)
        return answer()
    }

    func writeMMIO(_ address: PhysicalAddress, width: Int, value: UInt64) { note(address.rawValue, width, value) }
    func acknowledgeInterrupt() -> UInt8 { 0x20 }
    var numericErrors = 0
    func signalNumericError() { numericErrors += 1 }
    func timestampCounter() -> UInt64 { timestamp }
}

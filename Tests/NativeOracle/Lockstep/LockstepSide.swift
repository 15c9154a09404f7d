import X86

/// One of two equal machines: a processor with an engine, memory, and a device that interrupts when it is told to.
final class LockstepSide {
    let processor: Processor
    let engine: any Engine
    private let bus: InterruptBus

    init(_ knobs: EngineKnobs) throws {
        processor = Processor(model: .x8664v2, memory: try PhysicalMemory(byteCount: 4 << 20), knobs: knobs)
        engine = try knobs.engine(of: processor)
        bus = InterruptBus()
        bus.processor = processor
        processor.bus = bus
    }

    /// Goes back to the start of a program; engine and caches stay what they are.
    func load(_ program: RandomProgram, background: [UInt8]) {
        for range in ProgramMap.changeable {
            write(range.lowerBound, [UInt8](repeating: 0, count: Int(range.upperBound - range.lowerBound)))
        }
        write(ProgramMap.code, [UInt8](repeating: 0xCC, count: Int(ProgramMap.codeBytes)))
        var start = 0
        for range in Sandbox.memory {
            write(UInt64(range.lowerBound), Array(background[start..<start + range.count]))
            start += range.count
        }
        for part in ProgramKernel(program.kind).structures(entry: program.entry, actions: program.actions) + program.parts {
            write(part.address, part.bytes)
        }
        processor.interruptLine = false
        processor.state = program.state()
    }

    func write(_ address: UInt64, _ bytes: [UInt8]) { processor.memory.write(PhysicalAddress(address), bytes) }

    /// Runs to a position; anything but `.position` ended the run before it.
    func run(to position: UInt64) -> Exit {
        while true {
            let exit = engine.run(until: Position(position))
            if exit != .attention { return exit }
        }
    }
}

/// Ports that read as the position, and an interrupt line that falls when its vector is asked for.
private final class InterruptBus: SystemBus {
    unowned(unsafe) var processor: Processor?

    private var number: UInt64 { processor?.position.rawValue ?? 0 }

    func readPort(_ port: PortNumber, width: Int) -> UInt32 {
        processor?.requestAttention()
        return UInt32(truncatingIfNeeded: number &* 0x9E37_79B9)
    }
    func writePort(_ port: PortNumber, width: Int, value: UInt32) { processor?.requestAttention() }
    func readMMIO(_ address: PhysicalAddress, width: Int) -> UInt64 { number &* 0x9E37_79B9_7F4A_7C15 }
    func writeMMIO(_ address: PhysicalAddress, width: Int, value: UInt64) {}
    func acknowledgeInterrupt() -> UInt8 {
        processor?.interruptLine = false
        return ProgramMap.interruptVector
    }
    func signalNumericError() {}
    func timestampCounter() -> UInt64 { number }
}

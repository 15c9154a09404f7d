/// Groups of instructions behind which the host leaves undefined flags as Undefined.md says: translated code takes them from there.
/// Behind the others it makes them right itself (`UndefinedFlags.swift`), so that the host is never seen.
struct HostFlags: OptionSet {
    let rawValue: UInt8
    /// AND, OR, XOR, TEST.
    static let logic = HostFlags(rawValue: 1)
    /// SHL, SHR, SAR.
    static let shift = HostFlags(rawValue: 2)
    /// SHLD, SHRD.
    static let doubleShift = HostFlags(rawValue: 4)
    /// BT, BTS, BTR, BTC.
    static let bitTest = HostFlags(rawValue: 8)

    /// Found out once by executing them: the interpreter is what they are held against.
    static let defined: HostFlags = {
        guard let measurement = HostFlagMeasurement() else { return [] }
        var defined: HostFlags = []
        for (group, codes) in samples where codes.allSatisfy(measurement.isDefined) { defined.insert(group) }
        return defined
    }()

    /// Instructions of each group, of RAX, RDX and RCX, in encodings that 32-bit and 64-bit code have in common.
    private static var samples: [(HostFlags, [[UInt8]])] {
        let widths: [(prefix: [UInt8], bit: UInt8)] = [([], 0), ([0x66], 1), ([], 1)]
        let counts: [UInt8] = [1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31]
        var logic: [[UInt8]] = [], shift: [[UInt8]] = [], doubleShift: [[UInt8]] = [], bitTest: [[UInt8]] = []
        for (prefix, bit) in widths {
            for opcode: UInt8 in [0x20, 0x08, 0x30, 0x84] { logic.append(prefix + [opcode | bit, 0xD0]) }
            for modRM: UInt8 in [0xE0, 0xE8, 0xF8] {
                shift += [prefix + [0xD0 | bit, modRM], prefix + [0xD2 | bit, modRM]]
                shift += counts.map { prefix + [0xC0 | bit, modRM, $0] }
            }
        }
        for opcode: UInt8 in [0xA4, 0xAC] { doubleShift += counts.map { [0x0F, opcode, 0xD0, $0] } }
        for opcode: UInt8 in [0xA3, 0xAB, 0xB3, 0xBB] { bitTest.append([0x0F, opcode, 0xD0]) }
        for modRM: UInt8 in [0xE0, 0xE8, 0xF0, 0xF8] { bitTest.append([0x0F, 0xBA, modRM, 5]) }
        return [(.logic, logic), (.shift, shift), (.doubleShift, doubleShift), (.bitTest, bitTest)]
    }
}

/// Executes instructions on the host and by their handlers.
private final class HostFlagMeasurement {
    private let code: CodeMemory
    private var next: UnsafeMutablePointer<UInt8>
    private let processor: Processor
    private let decoder = Decoder(model: .i686)
    /// RAX, RDX and CL.
    private static let operands: [(UInt64, UInt64, UInt64)] = [
        (0, 0, 0), (0x8000_8080, 1, 1), (0x4000_4040, 0x8000_0000, 2), (0x7FFF_7F7F, 0xFFFF_FFFF, 5), (0xFFFF_FFFF, 0x1234_5678, 7),
        (0x89AB_CDEF, 0x8765_4321, 9), (0x1234_5677, 0x5555_5555, 17), (0xAAAA_AAAA, 0x0F0F_0F0F, 31), (0x8001_0180, 33, 32),
        (0xC0C0_C0C0, 7, 16), (1, 0x7FFF_FFFF, 24),
    ]

    /// Nil where there is no memory for it.
    init?() {
        guard let code = try? CodeMemory(byteCount: 1 << 14), let memory = try? PhysicalMemory(byteCount: 1 << 20) else { return nil }
        var knobs = EngineKnobs()
        knobs.tlbEntries = 2
        self.code = code
        next = code.base
        processor = Processor(model: .i686, memory: memory, knobs: knobs)
    }

    deinit { code.deallocate() }

    /// Whether the host leaves the flags behind an instruction as its handler does.
    func isDefined(_ bytes: [UInt8]) -> Bool {
        guard var (instruction, _) = bytes.withUnsafeBytes({ try? decoder.decode($0, mode: 1) }) else { return false }
        let core = processor.core
        let host = hostFunction(bytes)
        for (rax, rdx, rcx) in Self.operands {
            for flags in [0, Flag.status, Flag.of | Flag.sf, Flag.cf | Flag.af, Flag.zf | Flag.pf] {
                core.pointee.state.gpr[GPR.rax] = rax
                core.pointee.state.gpr[GPR.rdx] = rdx
                core.pointee.state.gpr[GPR.rcx] = rcx
                core.pointee.state.rflags = Flag.fixed | flags
                _ = instruction.handler(core, &instruction)
                guard host(flags, rax, rdx, rcx) & Flag.status == core.pointee.state.rflags & Flag.status else { return false }
            }
        }
        return true
    }

    /// The instruction as a function: flags, RAX, RDX and RCX in, flags out.
    private func hostFunction(_ bytes: [UInt8]) -> @convention(c) (UInt64, UInt64, UInt64, UInt64) -> UInt64 {
        let start = next
        precondition(start - code.base <= code.byteCount - 64, "the samples fit")
        var assembler = Assembler(at: start)
        // PUSH RDI; POPFQ; MOV RAX, RSI; the instruction; PUSHFQ; POP RAX; RET.
        for byte in [0x57, 0x9D, 0x48, 0x89, 0xF0] + bytes + [0x9C, 0x58, 0xC3] { assembler.byte(byte) }
        next = assembler.cursor
        // SAFETY: that is such a function. No other was there before, which the host might remember.
        return unsafeBitCast(code.executable(start), to: (@convention(c) (UInt64, UInt64, UInt64, UInt64) -> UInt64).self)
    }
}

import CZydis

/// FXSAVE and FXRSTOR (Intel SDM Vol. 1 10.5, Vol. 2A).
///
/// The 512 bytes: FCW, FSW, FTW, FOP at 0, 2, 4, 6; FIP and FCS at 8, FDP and FDS at 16 (64-bit pointers with REX.W); MXCSR and its
/// mask at 24; ST(0) to ST(7) from 32, XMM registers from 160, 16 bytes each. Bytes 416-511 are left alone (ruling R13).
let x87SaveRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_FXSAVE, .fxsr) { fxsave($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FXSAVE64, .fxsr) { fxsave($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FXRSTOR, .fxsr) { fxrstor($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_FXRSTOR64, .fxsr) { fxrstor($0.cpu, $1.instruction) },
]

private let mxcsrMask: UInt32 = 0xFFFF

/// The memory area of one FXSAVE or FXRSTOR, probed whole.
private struct SaveArea {
    let cpu: CPU
    let segment: Int
    let address: UInt64
    let mask: UInt64

    init(_ cpu: CPU, _ instruction: InstructionReference, write: Bool) throws(Fault) {
        if cpu.state.cr0 & CR0.em != 0 { throw .invalidOpcode }
        if cpu.state.cr0 & CR0.ts != 0 { throw .deviceNotAvailable }
        self.cpu = cpu
        segment = Int(instruction.pointee.segment)
        address = cpu.effectiveAddress(instruction)
        mask = instruction.pointee.addressMask
        guard try cpu.linearAddress(segment, address, count: 512, write: write) & 15 == 0 else { throw .generalProtection(0) }
        try cpu.probe(segment, address, count: 512, write: write)
    }

    func load<W: Width>(_ offset: UInt64, as width: W.Type) throws(Fault) -> W {
        try cpu.loadChecked(segment, (address &+ offset) & mask, as: W.self)
    }

    func store<W: Width>(_ offset: UInt64, _ value: W) throws(Fault) {
        try cpu.storeChecked(segment, (address &+ offset) & mask, value)
    }

    /// How many XMM registers are saved: none before SSE and while the system has not enabled them.
    var xmmCount: Int {
        guard cpu.core.pointee.model.has(.sse), cpu.state.cr4 & CR4.osfxsr != 0 else { return 0 }
        return cpu.is64Bit ? 16 : 8
    }

    var hasMXCSR: Bool { cpu.core.pointee.model.has(.sse) }
}

private func fxsave(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        let area = try SaveArea(cpu, instruction, write: true)
        let fpu = cpu.state.fpu
        try area.store(0, fpu.control)
        try area.store(2, fpu.status)
        try area.store(4, UInt16(fpu.abridgedTag))
        try area.store(6, fpu.opcode)
        if cpu.is64Bit, instruction.pointee.prefixes.contains(.rexW) {
            try area.store(8, fpu.instructionPointer)
            try area.store(16, fpu.dataPointer)
        } else {
            try area.store(8, fpu.instructionPointer & 0xFFFF_FFFF | UInt64(fpu.instructionSelector) << 32)
            try area.store(16, fpu.dataPointer & 0xFFFF_FFFF | UInt64(fpu.dataSelector) << 32)
        }
        if area.hasMXCSR { try area.store(24, UInt64(mxcsrMask) << 32 | UInt64(fpu.mxcsr)) }
        for index in 0..<8 {
            try area.store(32 + 16 * UInt64(index), fpu[index].significand)
            try area.store(40 + 16 * UInt64(index), UInt64(fpu[index].signExponent))
        }
        for half in 0..<2 * area.xmmCount { try area.store(160 + 8 * UInt64(half), fpu.xmm[half]) }
        return Retire.next
    }
}

/// FIP is loaded with bits 48 to 63 as bit 47.
private func canonical(_ pointer: UInt64) -> UInt64 { UInt64(bitPattern: Int64(bitPattern: pointer << 16) >> 16) }

private func fxrstor(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        let area = try SaveArea(cpu, instruction, write: false)
        var fpu = cpu.state.fpu
        if area.hasMXCSR {
            fpu.mxcsr = try area.load(24, as: UInt32.self)
            guard fpu.mxcsr & ~mxcsrMask == 0 else { throw .generalProtection(0) }
        }
        fpu.status = try area.load(2, as: UInt16.self)
        fpu.setControl(try area.load(0, as: UInt16.self))
        for index in 0..<8 {
            let significand = try area.load(32 + 16 * UInt64(index), as: UInt64.self)
            fpu[index] = .init(significand: significand, signExponent: try area.load(40 + 16 * UInt64(index), as: UInt16.self))
        }
        let tags = try area.load(4, as: UInt8.self)
        fpu.loadTags { tags >> UInt8($0) & 1 == 0 }
        fpu.opcode = try area.load(6, as: UInt16.self) & 0x7FF
        if cpu.is64Bit, instruction.pointee.prefixes.contains(.rexW) {
            fpu.instructionPointer = canonical(try area.load(8, as: UInt64.self))
            fpu.dataPointer = try area.load(16, as: UInt64.self)
            fpu.instructionSelector = 0
            fpu.dataSelector = 0
        } else {
            fpu.instructionPointer = UInt64(try area.load(8, as: UInt32.self))
            fpu.instructionSelector = try area.load(12, as: UInt16.self)
            fpu.dataPointer = UInt64(try area.load(16, as: UInt32.self))
            fpu.dataSelector = try area.load(20, as: UInt16.self)
        }
        if !cpu.hasX87Selectors {
            fpu.instructionSelector = 0
            fpu.dataSelector = 0
        }
        for half in 0..<2 * area.xmmCount { fpu.xmm[half] = try area.load(160 + 8 * UInt64(half), as: UInt64.self) }
        cpu.state.fpu = fpu
        return Retire.next
    }
}

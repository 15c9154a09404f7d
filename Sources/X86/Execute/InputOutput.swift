import CZydis

/// Input and output (Intel SDM Vol. 1 5.1.9, chapter 19). Touching a device ends the budget (ruling R5).
let inputOutputRows: [InstructionRow] = [
    InstructionRow(
        ZYDIS_MNEMONIC_IN, b: { input($0.cpu, $1.instruction, UInt8.self) }, w: { input($0.cpu, $1.instruction, UInt16.self) },
        d: { input($0.cpu, $1.instruction, UInt32.self) }),
    InstructionRow(
        ZYDIS_MNEMONIC_OUT, by: 1, b: { output($0.cpu, $1.instruction, UInt8.self) },
        w: { output($0.cpu, $1.instruction, UInt16.self) }, d: { output($0.cpu, $1.instruction, UInt32.self) }),
    InstructionRow(ZYDIS_MNEMONIC_INSB) { ins($0.cpu, $1.instruction, UInt8.self) },
    InstructionRow(ZYDIS_MNEMONIC_INSW) { ins($0.cpu, $1.instruction, UInt16.self) },
    InstructionRow(ZYDIS_MNEMONIC_INSD) { ins($0.cpu, $1.instruction, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_OUTSB) { outs($0.cpu, $1.instruction, UInt8.self) },
    InstructionRow(ZYDIS_MNEMONIC_OUTSW) { outs($0.cpu, $1.instruction, UInt16.self) },
    InstructionRow(ZYDIS_MNEMONIC_OUTSD) { outs($0.cpu, $1.instruction, UInt32.self) },
]

extension CPU {
    /// Whether CPL, IOPL and the I/O permission bit map of the TSS let this code reach `count` ports (Intel SDM Vol. 1 19.5).
    fileprivate func checkPort(_ port: PortNumber, count: UInt64) throws(Fault) {
        guard isProtected, isVirtual8086 || UInt64(state.cpl) > state.rflags >> 12 & 3 else { return }
        let task = state.segments[SegmentIndex.tr]
        // Only 32- and 64-bit TSSs, available or busy, have a map.
        guard !task.rights.isUnusable, task.rights.present, task.rights.type | 2 == 0xB, task.limit >= 0x67 else {
            throw .generalProtection(0)
        }
        let map = UInt64(try loadSystem(task.base &+ 0x66, as: UInt16.self))
        let place = map &+ UInt64(port >> 3)
        // Two bytes are read whatever the port, so the map ends with a byte of ones.
        guard place + 1 <= UInt64(task.limit) else { throw .generalProtection(0) }
        let bits = UInt64(try loadSystem(task.base &+ place, as: UInt16.self)) >> UInt64(port & 7)
        guard bits & ((1 << count) - 1) == 0 else { throw .generalProtection(0) }
    }

    /// I/O breakpoints (Intel SDM Vol. 3B 17.2.4): R/W field 10 while CR4.DE is set.
    private func notePortBreakpoints(_ port: PortNumber, count: UInt64) {
        guard state.cr4 & CR4.de != 0, state.dr7 & 0xFF != 0 else { return }
        for index: UInt64 in 0..<4 where state.dr7 >> (2 * index) & 3 != 0 && state.dr7 >> (16 + 4 * index) & 3 == 2 {
            if breakpoint(index, overlaps: UInt64(port), count: count) { core.pointee.debugHits |= 1 << index }
        }
    }

    fileprivate func readPort<W: Width>(_ port: PortNumber, as width: W.Type) -> W {
        notePortBreakpoints(port, count: W.byteCount)
        requestAttention()
        return W(truncatingIfNeeded: bus.readPort(port, width: MemoryLayout<W>.size))
    }

    fileprivate func writePort<W: Width>(_ port: PortNumber, _ value: W) {
        notePortBreakpoints(port, count: W.byteCount)
        requestAttention()
        bus.writePort(port, width: MemoryLayout<W>.size, value: UInt32(truncatingIfNeeded: value))
    }
}

/// The port of IN and OUT: DX, or an unsigned immediate byte.
private func port(_ cpu: CPU, _ instruction: InstructionReference, operand: Int) -> PortNumber {
    instruction.pointee.operands[operand].kind == .general
        ? PortNumber(truncatingIfNeeded: cpu.state.gpr[GPR.rdx]) : PortNumber(instruction.pointee.immediate & 0xFF)
}

private func input<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        let port = port(cpu, instruction, operand: 1)
        try cpu.checkPort(port, count: W.byteCount)
        cpu.setRegister(0, cpu.readPort(port, as: W.self))
        return Retire.next
    }
}

private func output<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    cpu.attempt { () throws(Fault) -> Status in
        let port = port(cpu, instruction, operand: 0)
        try cpu.checkPort(port, count: W.byteCount)
        cpu.writePort(port, W(truncatingIfNeeded: cpu.state.gpr[GPR.rax]))
        return Retire.next
    }
}

/// The check of the port comes before the count: a REP INS or REP OUTS of none may still be refused.
private func mayBegin<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Bool {
    do throws(Fault) {
        try cpu.checkPort(PortNumber(truncatingIfNeeded: cpu.state.gpr[GPR.rdx]), count: W.byteCount)
        return true
    } catch {
        cpu.core.pointee.fault = error
        return false
    }
}

private func ins<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard mayBegin(cpu, instruction, W.self) else { return Retire.fault }
    return cpu.iterate(instruction) {
        do throws(Fault) {
            let mask = instruction.pointee.addressMask
            let port = PortNumber(truncatingIfNeeded: cpu.state.gpr[GPR.rdx])
            try cpu.checkPort(port, count: W.byteCount)
            // The destination is probed before the device is read (ruling R10).
            let linear = try cpu.linearAddress(SegmentIndex.es, cpu.state.gpr[GPR.rdi] & mask, count: W.byteCount, write: true)
            let place = try cpu.translate(linear, count: W.byteCount, .write, as: cpu.privilege)
            cpu.write(place, UInt64(truncatingIfNeeded: cpu.readPort(port, as: W.self)))
            cpu.advance(GPR.rdi, by: W.byteCount, mask: mask)
            return true
        } catch {
            cpu.core.pointee.fault = error
            return false
        }
    }
}

private func outs<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    guard mayBegin(cpu, instruction, W.self) else { return Retire.fault }
    return cpu.iterate(instruction) {
        do throws(Fault) {
            let mask = instruction.pointee.addressMask
            let port = PortNumber(truncatingIfNeeded: cpu.state.gpr[GPR.rdx])
            try cpu.checkPort(port, count: W.byteCount)
            let value = try cpu.loadChecked(Int(instruction.pointee.segment), cpu.state.gpr[GPR.rsi] & mask, as: W.self)
            cpu.writePort(port, value)
            cpu.advance(GPR.rsi, by: W.byteCount, mask: mask)
            return true
        } catch {
            cpu.core.pointee.fault = error
            return false
        }
    }
}

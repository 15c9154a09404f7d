/// Debug registers (Intel SDM Vol. 3B 17.2; Vol. 2B, MOV DR).
extension CPU {
    /// Privilege first, as processors do: then whether the register exists, then general detect.
    private func checkDebug(_ number: UInt8) throws(Fault) -> UInt8 {
        guard state.cpl == 0 else { throw .generalProtection(0) }
        guard number < 8 else { throw .invalidOpcode }
        if number == 4 || number == 5, state.cr4 & CR4.de != 0 { throw .invalidOpcode }
        if state.dr7 & DebugControl.generalDetect != 0 { throw .debug(DebugStatus.generalDetect) }
        return number == 4 || number == 5 ? number + 2 : number
    }

    func readDebug(_ number: UInt8) throws(Fault) -> UInt64 {
        switch try checkDebug(number) {
        case 6: return state.dr6
        case 7: return state.dr7
        case let index: return state.dr[Int(index)]
        }
    }

    func writeDebug(_ number: UInt8, _ value: UInt64) throws(Fault) {
        switch try checkDebug(number) {
        case 6:
            guard value >> 32 == 0 else { throw .generalProtection(0) }
            state.dr6 = value & 0xE00F | 0xFFFF_0FF0
        case 7:
            guard value >> 32 == 0 else { throw .generalProtection(0) }
            state.dr7 = value & 0xFFFF_23FF | 0x400
            refreshMode()
        case let index:
            state.dr[Int(index)] = value
        }
        leaveBlock()
    }
}

/// The handler of MOV to or from a debug register; the operand forms are (general, debug) and (debug, general).
func debugRegisterMove(for instruction: borrowing Instruction) -> Handler? {
    if instruction.operands[0].kind == .debug {
        return { core, reference in
            let cpu = core.cpu, instruction = reference.instruction
            return cpu.attempt { () throws(Fault) -> Status in
                try cpu.writeDebug(instruction.pointee.operands[0].register, cpu.moveSource(instruction))
                return Retire.next
            }
        }
    }
    return { core, reference in
        let cpu = core.cpu, instruction = reference.instruction
        return cpu.attempt { () throws(Fault) -> Status in
            cpu.setMoveResult(instruction, try cpu.readDebug(instruction.pointee.operands[1].register))
            return Retire.next
        }
    }
}

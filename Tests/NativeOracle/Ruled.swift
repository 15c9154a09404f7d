import CZydis

/// Where our processor differs from the host on purpose: the rulings (Rulings.md) decide, and the host's outcome is corrected
/// to what they ask for before it is compared.
enum Ruled {
    /// `host` as the rulings want it, as far as `ours` does what they allow.
    static func corrected(_ host: Outcome, toMatch ours: Outcome, of trial: Trial, _ disassembly: Disassembly?) -> Outcome {
        var result = host
        guard let disassembly else {
            // R9: what is no instruction by its opcode is #UD, however long it would be.
            if host.ending == .exception(vector: 13, errorCode: 0, address: 0), trial.bytes.count == 15,
                ours.ending == .exception(vector: 6, errorCode: 0, address: 0)
            { result.ending = ours.ending }
            return result
        }
        if case .exception(14, _, let address) = host.ending, let fault = wrapFault(host: address, ours: ours, trial) {
            result.ending = fault
        }
        if let host = fault(host.ending), let our = fault(ours.ending) {
            // R10: frames are probed whole and operands in the manual's order; processors go item by item, in their own.
            if host != our, probesSeveral(disassembly) || (isAlignmentCheck(host) && !isAlignmentCheck(our)) { result.ending = ours.ending }
            // R10: faults are atomic; processors may have stored or loaded part of a frame by then.
            if storesBeforeFaulting(disassembly), ours.changes.isEmpty {
                result.changes = []
                result.changeCount = 0
            }
            if disassembly.mnemonic == ZYDIS_MNEMONIC_POPA || disassembly.mnemonic == ZYDIS_MNEMONIC_POPAD, ours.registers.gpr == trial.registers.gpr {
                result.registers.gpr = trial.registers.gpr
            }
        }
        correctVectors(&result, host, toMatch: ours, of: trial, disassembly)
        // R12: the host leaves OF alone where a rotation's count is an immediate, and changes it where it is CL: we always
        // change it (Undefined.md).
        if isRotationByImmediate(disassembly, trial), host.ending == .retired || host.registers.rip != trial.registers.rip {
            let of = Flags.of.rawValue
            result.registers.rflags = result.registers.rflags & ~of | ours.registers.rflags & of
        }
        // R12: leaving 64-bit mode leaves the upper half of RSP undefined; ours stays (Undefined.md).
        let low: UInt64 = 0xffff_ffff
        if host.registers.cs != trial.registers.cs, host.registers.cs == ours.registers.cs, host.registers.gpr[4] == ours.registers.gpr[4] & low {
            result.registers.gpr[4] = ours.registers.gpr[4]
        }
        if disassembly.isTranscendental { approximate(&result, ours, trial) }
        return result
    }

    /// R13: transcendentals are approximations of our own. One unit in the last place is theirs, two where rounding is directed
    /// (Intel SDM Vol. 1 8.3.10), and with them whether the result was rounded up.
    private static func approximate(_ host: inout Outcome, _ ours: Outcome, _ trial: Trial) {
        guard host.ending == ours.ending, let first = host.fx, let second = ours.fx, let before = trial.fx else { return }
        let tolerance: UInt128 = before[1] & 0xc == 0 ? 1 : 2
        for start in stride(from: 32, to: 160, by: 16) where first[start..<start + 10] != second[start..<start + 10] {
            guard first[start + 9] & 0x80 == second[start + 9] & 0x80 else { return }
            let a = ordinal(first[start..<start + 10])
            let b = ordinal(second[start..<start + 10])
            guard max(a, b) - min(a, b) <= tolerance else { return }
        }
        host.fx?.replaceSubrange(32..<160, with: second[32..<160])
        let c1: UInt8 = 2
        host.fx?[3] = first[3] & ~c1 | second[3] & c1
    }

    /// The magnitude of an 80-bit number as a count of units in the last place.
    private static func ordinal(_ bytes: ArraySlice<UInt8>) -> UInt128 {
        let raw = bytes.reversed().reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
        let exponent = raw >> 64 & 0x7fff
        return (exponent == 0 ? 0 : (exponent - 1) << 63) + raw & UInt128(UInt64.max)
    }

    /// The end of a trial whose access to memory faulted: #SS, #GP, #PF or #AC.
    private static func fault(_ ending: Ending) -> Ending? {
        guard case .exception(let vector, _, _) = ending, (12...14).contains(vector) || vector == 17 else { return nil }
        return ending
    }

    /// #AC. It comes after a segment's and a page's fault (Intel SDM Vol. 3A table 6-2); processors check it first where an
    /// access wraps at a segment's end.
    private static func isAlignmentCheck(_ ending: Ending) -> Bool {
        if case .exception(17, _, _) = ending { return true }
        return false
    }

    /// Instructions with several operands or stack slots, or ten bytes in two parts, of which another one may fault first.
    private static func probesSeveral(_ disassembly: Disassembly) -> Bool {
        let isFar = disassembly.instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR
        switch disassembly.mnemonic {
        case ZYDIS_MNEMONIC_ENTER, ZYDIS_MNEMONIC_PUSHA, ZYDIS_MNEMONIC_PUSHAD, ZYDIS_MNEMONIC_POPA, ZYDIS_MNEMONIC_POPAD,
            ZYDIS_MNEMONIC_IRET, ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_IRETQ, ZYDIS_MNEMONIC_CMPSB, ZYDIS_MNEMONIC_CMPSW,
            ZYDIS_MNEMONIC_CMPSD, ZYDIS_MNEMONIC_CMPSQ, ZYDIS_MNEMONIC_BOUND, ZYDIS_MNEMONIC_LDS, ZYDIS_MNEMONIC_LES,
            ZYDIS_MNEMONIC_LSS, ZYDIS_MNEMONIC_LFS, ZYDIS_MNEMONIC_LGS, ZYDIS_MNEMONIC_CALL, ZYDIS_MNEMONIC_FLDENV, ZYDIS_MNEMONIC_FRSTOR,
            ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_FNSAVE, ZYDIS_MNEMONIC_FXSAVE, ZYDIS_MNEMONIC_FXSAVE64, ZYDIS_MNEMONIC_FXRSTOR,
            ZYDIS_MNEMONIC_FXRSTOR64, ZYDIS_MNEMONIC_FLD, ZYDIS_MNEMONIC_FSTP, ZYDIS_MNEMONIC_FBLD, ZYDIS_MNEMONIC_FBSTP:
            return true
        case ZYDIS_MNEMONIC_RET, ZYDIS_MNEMONIC_JMP: return isFar
        default: return false
        }
    }

    private static func storesBeforeFaulting(_ disassembly: Disassembly) -> Bool {
        switch disassembly.mnemonic {
        case ZYDIS_MNEMONIC_ENTER, ZYDIS_MNEMONIC_PUSHA, ZYDIS_MNEMONIC_PUSHAD, ZYDIS_MNEMONIC_CALL, ZYDIS_MNEMONIC_FSTP, ZYDIS_MNEMONIC_FBSTP,
            ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_FNSAVE, ZYDIS_MNEMONIC_FXSAVE, ZYDIS_MNEMONIC_FXSAVE64:
            true
        default: false
        }
    }

    /// An access that runs over 4 GiB in a flat segment: whether that faults at the limit or wraps is up to the processor
    /// (Intel SDM Vol. 3A 5.3); ours faults.
    private static func wrapFault(host address: UInt64, ours: Outcome, _ trial: Trial) -> Ending? {
        guard trial.mode != .bits64, case .exception(let vector, 0, _) = ours.ending, vector == 12 || vector == 13 else { return nil }
        return address >= 0xffff_ffe0 || address < 0x20 ? ours.ending : nil
    }

    private static func isRotationByImmediate(_ disassembly: Disassembly, _ trial: Trial) -> Bool {
        switch disassembly.mnemonic {
        case ZYDIS_MNEMONIC_ROL, ZYDIS_MNEMONIC_ROR:
            disassembly.operand(1).type == ZYDIS_OPERAND_TYPE_IMMEDIATE && Undefined.shiftCount(of: disassembly, in: trial, operand: 1) > 1
        default: false
        }
    }
}

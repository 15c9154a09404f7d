import CZydis

/// What a block's x87 instructions are translated for.
struct X87Outlook {
    /// TOP where the block begins.
    let top: Int
    /// FCS and FDS exist.
    let hasSelectors: Bool

    init(_ cpu: CPU) {
        top = cpu.state.fpu.top
        hasSelectors = cpu.hasX87Selectors
    }

    /// TOP behind an instruction, as far as its name tells: what loads the whole environment is not looked into.
    static func top(_ top: Int, behind instruction: Instruction) -> Int {
        if resets.contains(where: { $0.rawValue == UInt32(instruction.mnemonic.rawValue) }) { return 0 }
        if instruction.operands[0].kind == .mmx || instruction.operands[1].kind == .mmx { return 0 }
        return (top + shift(of: instruction)) & 7
    }

    /// By how much an instruction that does not fail moves TOP.
    static func shift(of instruction: Instruction) -> Int { shifts[Int(instruction.mnemonic.rawValue)] }

    private static let resets: [ZydisMnemonic] = [ZYDIS_MNEMONIC_FNINIT, ZYDIS_MNEMONIC_FNSAVE, ZYDIS_MNEMONIC_EMMS]

    private static let shifts: [Int] = {
        var all = [Int](repeating: 0, count: Int(ZYDIS_MNEMONIC_MAX_VALUE.rawValue) + 1)
        for mnemonic in pushes { all[Int(mnemonic.rawValue)] = -1 }
        for mnemonic in pops { all[Int(mnemonic.rawValue)] = 1 }
        for mnemonic in [ZYDIS_MNEMONIC_FCOMPP, ZYDIS_MNEMONIC_FUCOMPP] { all[Int(mnemonic.rawValue)] = 2 }
        return all
    }()

    private static let pushes: [ZydisMnemonic] = [
        ZYDIS_MNEMONIC_FLD, ZYDIS_MNEMONIC_FILD, ZYDIS_MNEMONIC_FBLD, ZYDIS_MNEMONIC_FLD1, ZYDIS_MNEMONIC_FLDZ, ZYDIS_MNEMONIC_FLDPI,
        ZYDIS_MNEMONIC_FLDL2T, ZYDIS_MNEMONIC_FLDL2E, ZYDIS_MNEMONIC_FLDLG2, ZYDIS_MNEMONIC_FLDLN2, ZYDIS_MNEMONIC_FPTAN,
        ZYDIS_MNEMONIC_FSINCOS, ZYDIS_MNEMONIC_FXTRACT, ZYDIS_MNEMONIC_FDECSTP,
    ]

    private static let pops: [ZydisMnemonic] = [
        ZYDIS_MNEMONIC_FSTP, ZYDIS_MNEMONIC_FSTPNCE, ZYDIS_MNEMONIC_FISTP, ZYDIS_MNEMONIC_FISTTP, ZYDIS_MNEMONIC_FBSTP,
        ZYDIS_MNEMONIC_FADDP, ZYDIS_MNEMONIC_FSUBP, ZYDIS_MNEMONIC_FSUBRP, ZYDIS_MNEMONIC_FMULP, ZYDIS_MNEMONIC_FDIVP,
        ZYDIS_MNEMONIC_FDIVRP, ZYDIS_MNEMONIC_FCOMP, ZYDIS_MNEMONIC_FUCOMP, ZYDIS_MNEMONIC_FICOMP, ZYDIS_MNEMONIC_FCOMIP,
        ZYDIS_MNEMONIC_FUCOMIP, ZYDIS_MNEMONIC_FPATAN, ZYDIS_MNEMONIC_FYL2X, ZYDIS_MNEMONIC_FYL2XP1, ZYDIS_MNEMONIC_FINCSTP,
        ZYDIS_MNEMONIC_FFREEP,
    ]
}

import CZydis

/// A row of the instruction table: what exists, on which models, and what executes it.
struct InstructionRow: Sendable {
    let mnemonic: Mnemonic
    let feature: CPUModel.Features
    /// What an operand form needs besides; nil: all forms are alike.
    let also: (@Sendable (borrowing Instruction) -> CPUModel.Features)?
    /// Chooses the handler for an instruction's operand forms and widths; nil: that form does not exist.
    let select: @Sendable (borrowing Instruction) -> Handler?

    /// One handler for every form.
    init(_ mnemonic: ZydisMnemonic, _ feature: CPUModel.Features = [], _ handler: @escaping Handler) {
        self.init(mnemonic, feature, select: { _ in handler })
    }

    /// One handler for each width of the first operand (of `by`, if another decides); nil: no such form.
    init(
        _ mnemonic: ZydisMnemonic, _ feature: CPUModel.Features = [], by operand: Int = 0,
        b: Handler? = nil, w: Handler? = nil, d: Handler? = nil, q: Handler? = nil
    ) {
        self.init(
            mnemonic, feature,
            select: { $0.byWidth(of: operand, b: b, w: w, d: d, q: q) })
    }

    /// The same for a hot instruction: beside the handlers for any form, those that know where the operands of 32 and 64 bits lie.
    init(
        _ mnemonic: ZydisMnemonic, b: Handler? = nil, w: Handler? = nil, d: Handler? = nil, q: Handler? = nil,
        registers: (d: Handler, q: Handler), load: (d: Handler, q: Handler)? = nil, store: (d: Handler, q: Handler)? = nil
    ) {
        self.init(
            mnemonic,
            select: { instruction in
                let known = instruction.operands[0].kind == .memory ? store : instruction.operands[1].kind == .memory ? load : registers
                return instruction.byWidth(b: b, w: w, d: known?.d ?? d, q: known?.q ?? q)
            })
    }

    init(
        _ mnemonic: ZydisMnemonic, _ feature: CPUModel.Features = [],
        also: (@Sendable (borrowing Instruction) -> CPUModel.Features)? = nil,
        select: @escaping @Sendable (borrowing Instruction) -> Handler?
    ) {
        self.mnemonic = Mnemonic(rawValue: UInt16(truncatingIfNeeded: mnemonic.rawValue))
        self.feature = feature
        self.also = also
        self.select = select
    }
}

extension Instruction {
    /// The handler for the width of an operand; nil: no such form.
    borrowing func byWidth(of operand: Int = 0, b: Handler? = nil, w: Handler? = nil, d: Handler? = nil, q: Handler? = nil) -> Handler? {
        Self.byWidth(operands[operand].size, b: b, w: w, d: d, q: q)
    }

    /// The handler for the operand size attribute, where no operand shows it.
    borrowing func byOperandSize(w: Handler? = nil, d: Handler? = nil, q: Handler? = nil) -> Handler? {
        Self.byWidth(operandSize, b: nil, w: w, d: d, q: q)
    }

    private static func byWidth(_ bytes: UInt8, b: Handler?, w: Handler?, d: Handler?, q: Handler?) -> Handler? {
        switch bytes {
        case 1: b
        case 2: w
        case 4: d
        case 8: q
        default: nil
        }
    }
}

/// The one table that says which instructions exist, in the manual's groups (Intel SDM Vol. 1 chapter 5).
struct InstructionTable {
    static let groups: [[InstructionRow]] = [
        dataTransferRows,
        stackRows,
        arithmeticRows,
        decimalRows,
        logicRows,
        shiftRows,
        bitRows,
        controlTransferRows,
        stringRows,
        inputOutputRows,
        flagControlRows,
        x87TransferRows,
        x87ArithmeticRows,
        x87ComparisonRows,
        x87ControlRows,
        x87TranscendentalRows,
        x87RemainderRows,
        x87DecimalRows,
        x87SaveRows,
        mmxRows,
        sseMoveRows,
        sseFloatingPointRows,
        sseIntegerRows,
        sse42Rows,
        randomNumberRows,
        miscellaneousRows,
        segmentRegisterRows,
        interruptRows,
        systemSegmentRows,
        descriptorInquiryRows,
        systemRows,
        fastSystemCallRows,
    ]

    /// Names that a string instruction shares with one of SSE2: the rows of both select by opcode map.
    private static let shared = [ZYDIS_MNEMONIC_MOVSD, ZYDIS_MNEMONIC_CMPSD]

    /// Rows by mnemonic, for one processor model; features it lacks leave no row.
    private let rows: [[InstructionRow]]
    private let model: CPUModel

    init(model: CPUModel) {
        var rows = [[InstructionRow]](repeating: [], count: Int(ZYDIS_MNEMONIC_MAX_VALUE.rawValue) + 1)
        for row in Self.groups.joined() {
            let isShared = Self.shared.contains { $0.rawValue == UInt32(row.mnemonic.rawValue) }
            precondition(rows[Int(row.mnemonic.rawValue)].isEmpty || isShared, "each instruction has one row")
            if model.has(row.feature) { rows[Int(row.mnemonic.rawValue)].append(row) }
        }
        self.rows = rows
        self.model = model
    }

    func handler(for instruction: borrowing Instruction) -> Handler? {
        for row in rows[Int(instruction.mnemonic.rawValue)] {
            if let also = row.also, !model.has(also(instruction)) { continue }
            if let handler = row.select(instruction) { return handler }
        }
        return nil
    }

    /// Whether the model has an instruction that the table does not execute yet: those end a run by name instead of
    /// raising #UD.
    func exists(_ instruction: borrowing Instruction, set: ZydisISASet) -> Bool {
        switch set {
        case ZYDIS_ISA_SET_SSE, ZYDIS_ISA_SET_SSEMXCSR, ZYDIS_ISA_SET_SSE_PREFETCH: model.has(.sse)
        case ZYDIS_ISA_SET_SSE2, ZYDIS_ISA_SET_SSE2MMX: model.has(.sse2)
        case ZYDIS_ISA_SET_SSE3, ZYDIS_ISA_SET_SSE3X87: model.has(.sse3)
        case ZYDIS_ISA_SET_SSSE3, ZYDIS_ISA_SET_SSSE3MMX: model.has(.ssse3)
        case ZYDIS_ISA_SET_SSE4: model.has(.sse41)
        case ZYDIS_ISA_SET_SSE42: model.has(.sse42)
        case ZYDIS_ISA_SET_PENTIUMMMX: model.has(.mmx)
        case ZYDIS_ISA_SET_X87: model.has(.fpu)
        default: false
        }
    }
}

import CZydis

/// A 128-bit register as lanes of packed integers (Intel SDM Vol. 1 4.6.2).
extension Vector {
    @inline(__always) var bytes: SIMD16<UInt8> { unsafeBitCast(self, to: SIMD16<UInt8>.self) }
    @inline(__always) var signedBytes: SIMD16<Int8> { unsafeBitCast(self, to: SIMD16<Int8>.self) }
    @inline(__always) var words: SIMD8<UInt16> { unsafeBitCast(self, to: SIMD8<UInt16>.self) }
    @inline(__always) var signedWords: SIMD8<Int16> { unsafeBitCast(self, to: SIMD8<Int16>.self) }
    @inline(__always) var doublewords: SIMD4<UInt32> { unsafeBitCast(self, to: SIMD4<UInt32>.self) }
    @inline(__always) var signedDoublewords: SIMD4<Int32> { unsafeBitCast(self, to: SIMD4<Int32>.self) }
    @inline(__always) var signedQuadwords: SIMD2<Int64> { unsafeBitCast(self, to: SIMD2<Int64>.self) }
    @inline(__always) var whole: UInt128 { unsafeBitCast(self, to: UInt128.self) }

    /// Lanes of any width, the lowest first; the mask of a comparison has all bits of a lane alike.
    @inline(__always) init<Lanes>(bits lanes: Lanes) {
        // SAFETY: `unsafeBitCast` holds the size against 16 bytes; lanes and masks are plain bits.
        self = unsafeBitCast(lanes, to: Vector.self)
    }

    /// The top bit of each byte, as PMOVMSKB gathers them.
    @inline(__always) var byteMask: UInt32 {
        UInt32(truncatingIfNeeded: Self.topBits(self[0]) | Self.topBits(self[1]) &<< 8)
    }

    /// The top bit of each word.
    @inline(__always) var wordMask: UInt32 {
        func topBits(_ quadword: UInt64) -> UInt64 { ((quadword &>> 15 & 0x0001_0001_0001_0001) &* 0x0001_0002_0004_0008) &>> 48 & 0xF }
        return UInt32(truncatingIfNeeded: topBits(self[0]) | topBits(self[1]) &<< 4)
    }

    /// The product brings each byte's top bit to a place of its own among the highest eight.
    @inline(__always) private static func topBits(_ quadword: UInt64) -> UInt64 {
        ((quadword & 0x8080_8080_8080_8080) &* 0x0002_0408_1020_4081) &>> 56
    }
}

/// The shapes that packed-integer instructions have. An operation gets the destination's old value, then the source.
extension CPU {
    // MARK: XMM registers

    /// xmm1 = operation(xmm1, xmm2/m128).
    @inline(__always)
    func packedXMM(_ instruction: InstructionReference, _ operation: (Vector, Vector) -> Vector) -> Status {
        if let refusal = sseRefusal() { return refusal }
        guard let source = readVector(instruction, 1) else { return Retire.fault }
        let destination = instruction.pointee.operands[unchecked: 0].register
        setXMM(destination, operation(xmm(destination), source))
        return Retire.next
    }

    /// The same with an immediate byte.
    @inline(__always)
    func packedXMM(_ instruction: InstructionReference, control operation: (Vector, Vector, UInt8) -> Vector) -> Status {
        packedXMM(instruction) { operation($0, $1, instruction.pointee.immediateByte) }
    }

    /// xmm1 = operation(xmm1, count): an immediate byte, or the low quadword of xmm2/m128.
    @inline(__always)
    func shiftedXMM(_ instruction: InstructionReference, _ operation: (Vector, UInt64) -> Vector) -> Status {
        if let refusal = sseRefusal() { return refusal }
        var count = UInt64(instruction.pointee.immediateByte)
        if instruction.pointee.operands[unchecked: 1].kind != .immediate {
            guard let source = readVector(instruction, 1) else { return Retire.fault }
            count = source[0]
        }
        let destination = instruction.pointee.operands[unchecked: 0].register
        setXMM(destination, operation(xmm(destination), count))
        return Retire.next
    }

    /// xmm1 = operation(the low lanes of xmm2, or a memory operand of their size).
    @inline(__always)
    func widenedXMM<W: Width>(_ instruction: InstructionReference, _: W.Type, _ operation: (Vector) -> Vector) -> Status {
        if let refusal = sseRefusal() { return refusal }
        guard let source = readScalar(instruction, 1, as: W.self) else { return Retire.fault }
        setXMM(instruction.pointee.operands[unchecked: 0].register, operation(Vector(UInt64(truncatingIfNeeded: source), 0)))
        return Retire.next
    }

    // MARK: MMX registers, through the operations of XMM registers

    /// mm1 = operation(mm1, mm2/m64); a memory operand of 4 bytes is zero-extended.
    @inline(never)
    func combinedMMX(_ instruction: InstructionReference, _ operation: (UInt64, UInt64) -> UInt64) -> Status {
        if let refusal = mmxRefusal() { return refusal }
        guard let source = readMMXSource(instruction) else { return Retire.fault }
        let destination = instruction.pointee.operands[unchecked: 0].register
        let result = operation(mmx(destination), source)
        setMMX(destination, result)
        finishMMX()
        return Retire.next
    }

    private func readMMXSource(_ instruction: InstructionReference) -> UInt64? {
        let source = instruction.pointee.operands[unchecked: 1]
        if source.kind == .immediate { return UInt64(instruction.pointee.immediateByte) }
        if source.kind == .memory, source.size == 4 {
            return load(Int(instruction.pointee.segment), effectiveAddress(instruction), as: UInt32.self).map(UInt64.init)
        }
        return readMMX(instruction, 1)
    }

    /// Lane by lane: the low half of what XMM registers would have.
    func packedMMX(_ instruction: InstructionReference, _ operation: (Vector, Vector) -> Vector) -> Status {
        combinedMMX(instruction) { operation(Vector($0, 0), Vector($1, 0))[0] }
    }

    /// The high half of what XMM registers would have.
    func highMMX(_ instruction: InstructionReference, _ operation: (Vector, Vector) -> Vector) -> Status {
        combinedMMX(instruction) { operation(Vector($0, 0), Vector($1, 0))[1] }
    }

    /// Operations that make the low half of their result of the first operand alone: it holds both.
    func pairedMMX(_ instruction: InstructionReference, _ operation: (Vector, Vector) -> Vector) -> Status {
        combinedMMX(instruction) { operation(Vector($0, $1), Vector())[0] }
    }

    /// mm1 = operation(mm1, count): an immediate byte, or mm2/m64.
    func shiftedMMX(_ instruction: InstructionReference, _ operation: (Vector, UInt64) -> Vector) -> Status {
        combinedMMX(instruction) { operation(Vector($0, 0), $1)[0] }
    }
}

extension Instruction {
    var immediateByte: UInt8 { UInt8(truncatingIfNeeded: immediate) }

    /// Whether one of the first two operands is an XMM register.
    var usesXMM: Bool { operands[0].kind == .xmm || operands[1].kind == .xmm }
}

extension InstructionRow {
    /// One mnemonic for MMX and XMM registers, with the feature that each form needs.
    init(
        _ mnemonic: ZydisMnemonic, mmx feature: CPUModel.Features, xmm wideFeature: CPUModel.Features,
        _ narrow: @escaping Handler, _ wide: @escaping Handler
    ) {
        self.init(
            mnemonic, feature, also: { $0.usesXMM ? wideFeature : [] }, select: { $0.usesXMM ? wide : narrow })
    }

    /// The same, of the first MMX instructions, which SSE2 brought to XMM registers.
    init(_ mnemonic: ZydisMnemonic, _ narrow: @escaping Handler, _ wide: @escaping Handler) {
        self.init(mnemonic, mmx: .mmx, xmm: .sse2, narrow, wide)
    }
}

/// The six status flags, computed in full by every instruction that writes them: nothing lazy (Intel SDM Vol. 1 appendix A).
extension CPU {
    @inline(__always)
    func setStatus(_ flags: UInt64) { state.rflags = state.rflags & ~Flag.status | flags }

    @inline(__always) var carry: UInt64 { state.rflags & Flag.cf }

    /// SF, ZF and PF of a result.
    @inline(__always)
    static func signZeroParity<W: Width>(_ result: W) -> UInt64 {
        let parity = ~UInt64(truncatingIfNeeded: UInt8(truncatingIfNeeded: result).nonzeroBitCount) & 1
        return parity &<< 2 | (result == 0 ? Flag.zf : 0) | result.topBit &<< 7
    }

    /// All six flags of an addition, from the carries out of each bit.
    @inline(__always)
    func setFlags<W: Width>(adding a: W, _ b: W, result: W) {
        setStatus(Self.signZeroParity(result) | Self.carries((a & b) | ((a | b) & ~result)))
    }

    /// The same where no carry came in.
    @inline(__always)
    func setFlags<W: Width>(sumOf a: W, _ b: W, result: W) {
        let changed = UInt64(truncatingIfNeeded: a ^ b ^ result) & Flag.af
        let overflow = ((a ^ result) & (b ^ result)).topBit
        setStatus(Self.signZeroParity(result) | changed | (result < a ? Flag.cf : 0) | overflow &<< 11)
    }

    /// All six flags of `a` - `b`, where no borrow came in.
    @inline(__always)
    func setFlags<W: Width>(differenceOf a: W, _ b: W, result: W) {
        let changed = UInt64(truncatingIfNeeded: a ^ b ^ result) & Flag.af
        let overflow = ((a ^ b) & (a ^ result)).topBit
        setStatus(Self.signZeroParity(result) | changed | (a < b ? Flag.cf : 0) | overflow &<< 11)
    }

    /// All six flags of a subtraction, from the borrows into each bit.
    @inline(__always)
    func setFlags<W: Width>(subtracting b: W, from a: W, result: W) {
        setStatus(Self.signZeroParity(result) | Self.carries((~a & b) | ((~a | b) & result)))
    }

    /// CF, AF and OF from a vector of carries.
    @inline(__always)
    private static func carries<W: Width>(_ vector: W) -> UInt64 {
        let carry = vector.topBit
        let below = UInt64(truncatingIfNeeded: vector &>> W(truncatingIfNeeded: W.bits &- 2)) & 1
        return carry | (UInt64(truncatingIfNeeded: vector) &<< 1 & Flag.af) | (carry ^ below) &<< 11
    }

    /// The flags of AND, OR, XOR and TEST: CF and OF clear, AF undefined and cleared (R12).
    @inline(__always)
    func setFlags<W: Width>(logic result: W) { setStatus(Self.signZeroParity(result)) }

    /// Replaces CF by 0 or 1.
    @inline(__always)
    func setCarry(_ carry: UInt64) { state.rflags = state.rflags & ~Flag.cf | carry }

    /// The flags of MUL and IMUL: CF and OF tell whether the product is wider than `low`; SF and PF of `low`, ZF and AF clear,
    /// which the manual leaves undefined (R12).
    @inline(__always)
    func setFlags<W: Width>(product low: W, overflow: Bool) {
        setStatus(Self.signZeroParity(low) & ~Flag.zf | (overflow ? Flag.cf | Flag.of : 0))
    }

    /// The flags of SHL, SHR, SAR, SHLD and SHRD by a count that is not 0: `carry` and `overflow` are 0 or 1; AF is undefined and
    /// cleared (R12).
    @inline(__always)
    func setFlags<W: Width>(shifted result: W, carry: UInt64, overflow: UInt64) {
        setStatus(Self.signZeroParity(result) | carry | overflow &<< 11)
    }

    /// The flags of ROL, ROR, RCL and RCR: CF and OF alone.
    @inline(__always)
    func setRotateFlags(carry: UInt64, overflow: UInt64) {
        state.rflags = state.rflags & ~(Flag.cf | Flag.of) | carry | overflow &<< 11
    }

    /// The flags of BSF and BSR: ZF tells that the source was 0, PF is that of the result; the others, undefined, are clear (R12).
    @inline(__always)
    func setFlags(scanned index: UInt64, sourceIsZero: Bool) {
        setStatus(Self.signZeroParity(index) & Flag.pf | (sourceIsZero ? Flag.zf : 0))
        if PlantedFault.hostFlag.isPlanted { state.rflags |= PlantedFault.hostNumber & Flag.af }
    }

    /// The flags of decimal adjustment: those of AL, and CF and AF as given; OF is undefined and cleared (R12).
    func setFlags(decimal result: UInt8, carry: Bool, adjusted: Bool) {
        setStatus(Self.signZeroParity(result) | (carry ? Flag.cf : 0) | (adjusted ? Flag.af : 0))
    }

    /// The condition of Jcc, SETcc, CMOVcc (Intel SDM Vol. 1 appendix B).
    @inline(__always)
    func holds(_ condition: UInt8) -> Bool {
        let flags = state.rflags
        let result: Bool =
            switch condition &>> 1 {
            case 0: flags & Flag.of != 0
            case 1: flags & Flag.cf != 0
            case 2: flags & Flag.zf != 0
            case 3: flags & (Flag.cf | Flag.zf) != 0
            case 4: flags & Flag.sf != 0
            case 5: flags & Flag.pf != 0
            case 6: (flags &>> 4 ^ flags) & Flag.sf != 0
            default: flags & Flag.zf != 0 || (flags &>> 4 ^ flags) & Flag.sf != 0
            }
        return result != (condition & 1 != 0)
    }
}

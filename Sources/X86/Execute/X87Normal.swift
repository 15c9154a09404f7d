import CHostFloat

/// The common case of x87 arithmetic: normal numbers, a normal result, 64-bit precision, rounding to nearest, all exceptions masked.
/// The same bits as the long way of `X87Environment`, to which whatever does not fit is left: functions give nil.
struct X87Normal {
    typealias Register = FloatingPointState.Register

    var value: Register
    var isInexact = false
    /// The magnitude was rounded up.
    var roundedUp = false

    @inline(__always)
    init(significand: UInt64, sign: UInt16, exponent: Int32) {
        value = Register(significand: significand, signExponent: sign & 0x8000 | UInt16(truncatingIfNeeded: exponent))
    }

    /// Rounds a significand with what follows its last bit; nil: the result may not be normal.
    @inline(__always)
    init?(rounding significand: UInt64, _ rest: UInt64, sign: UInt16, exponent: Int32) {
        guard exponent > 0, exponent < 0x7FFE else { return nil }
        let half: UInt64 = 1 << 63
        let up: UInt64 = rest > half || (rest == half && significand & 1 != 0) ? 1 : 0
        let (sum, carry) = significand.addingReportingOverflow(up)
        self.init(significand: carry ? half : sum, sign: sign, exponent: exponent &+ (carry ? 1 : 0))
        isInexact = rest != 0
        roundedUp = up != 0
    }

    @inline(__always)
    static func sum(_ a: Register, _ b: Register) -> X87Normal? {
        let swaps = a.signExponent & 0x7FFF < b.signExponent & 0x7FFF
            || (a.signExponent & 0x7FFF == b.signExponent & 0x7FFF && a.significand < b.significand)
        let large = swaps ? b : a
        let small = swaps ? a : b
        let exponent = Int32(large.signExponent & 0x7FFF)
        let distance = UInt64(large.signExponent & 0x7FFF &- small.signExponent & 0x7FFF)
        guard distance < 64 else { return nil }
        let shifted = small.significand &>> distance
        let lost = distance == 0 ? 0 : small.significand &<< (64 &- distance)
        if (large.signExponent ^ small.signExponent) & 0x8000 == 0 {
            let (sum, carry) = large.significand.addingReportingOverflow(shifted)
            guard carry else { return X87Normal(rounding: sum, lost, sign: large.signExponent, exponent: exponent) }
            return X87Normal(
                rounding: sum &>> 1 | 1 << 63, sum &<< 63 | lost &>> 1 | lost & 1, sign: large.signExponent, exponent: exponent &+ 1)
        }
        let difference = large.significand &- shifted &- (lost == 0 ? 0 : 1)
        let rest = 0 &- lost
        guard difference != 0 else { return nil }
        let shift = UInt64(truncatingIfNeeded: difference.leadingZeroBitCount)
        let high = shift == 0 ? difference : difference &<< shift | rest &>> (64 &- shift)
        return X87Normal(rounding: high, rest &<< shift, sign: large.signExponent, exponent: exponent &- Int32(truncatingIfNeeded: shift))
    }

    @inline(__always)
    static func product(_ a: Register, _ b: Register) -> X87Normal? {
        let (high, low) = a.significand.multipliedFullWidth(by: b.significand)
        let exponent = Int32(a.signExponent & 0x7FFF) &+ Int32(b.signExponent & 0x7FFF) &- X87Number.bias
        let sign = a.signExponent ^ b.signExponent
        if high >> 63 != 0 { return X87Normal(rounding: high, low, sign: sign, exponent: exponent &+ 1) }
        return X87Normal(rounding: high &<< 1 | low &>> 63, low &<< 1, sign: sign, exponent: exponent)
    }

    /// By the host's own unit. Called inexact: only for who has that flag set already.
    @inline(__always)
    static func quotient(_ a: Register, _ b: Register) -> X87Normal? {
        let exponent = Int32(a.signExponent & 0x7FFF) &- Int32(b.signExponent & 0x7FFF)
        guard exponent > -16000, exponent < 16000 else { return nil }
        return X87Normal(host_x87_divide(a.host, b.host))
    }

    /// Of a positive number, as `quotient`.
    @inline(__always)
    static func squareRoot(_ a: Register) -> X87Normal? {
        a.signExponent >> 15 == 0 ? X87Normal(host_x87_square_root(a.host)) : nil
    }

    @inline(__always)
    private init(_ result: HostX87Result) {
        value = Register(significand: result.value.significand, signExponent: result.value.signExponent)
        isInexact = true
        roundedUp = result.status & X87Status.c1 != 0
    }

    @inline(__always)
    static func result(of operation: X87Environment.Operation, _ a: Register, _ b: Register, hasInexact: Bool) -> X87Normal? {
        switch operation {
        case .add: sum(a, b)
        case .subtract: sum(a, b.negated)
        case .reverseSubtract: sum(b, a.negated)
        case .multiply: product(a, b)
        case .divide: hasInexact ? quotient(a, b) : nil
        case .reverseDivide: hasInexact ? quotient(b, a) : nil
        }
    }

    /// A normal number in a format of memory; nil: zero, denormal, infinity or NaN.
    @inline(__always)
    static func register(_ bits: UInt64, isSingle: Bool) -> Register? {
        let fractionBits: UInt64 = isSingle ? 23 : 52
        let largest: UInt64 = isSingle ? 0xFF : 0x7FF
        let exponent = bits &>> fractionBits & largest
        guard exponent != 0, exponent != largest else { return nil }
        let sign = UInt16(truncatingIfNeeded: bits &>> (isSingle ? 31 : 63) & 1)
        let bias: UInt64 = isSingle ? 16383 - 127 : 16383 - 1023
        return Register(
            significand: 1 << 63 | (bits &<< (64 &- fractionBits)) &>> 1, signExponent: sign &<< 15 | UInt16(truncatingIfNeeded: exponent &+ bias))
    }

    /// A normal number rounded to a format of memory; nil: the result may not be normal.
    @inline(__always)
    static func narrowed(_ register: Register, isSingle: Bool) -> (bits: UInt64, isInexact: Bool, roundedUp: Bool)? {
        let dropped: UInt64 = isSingle ? 40 : 11
        let largest: Int32 = isSingle ? 0xFF : 0x7FF
        let exponent = Int32(register.signExponent & 0x7FFF) &- (isSingle ? 16383 - 127 : 16383 - 1023)
        guard exponent > 0, exponent < largest &- 1 else { return nil }
        let rest = register.significand &<< (64 &- dropped)
        let kept = register.significand &>> dropped
        let up: UInt64 = rest > 1 << 63 || (rest == 1 << 63 && kept & 1 != 0) ? 1 : 0
        // A carry out of the fraction goes into the exponent, as it should.
        let magnitude = UInt64(truncatingIfNeeded: exponent &- 1) &<< (63 &- dropped) &+ kept &+ up
        let sign = UInt64(register.signExponent &>> 15)
        return (magnitude | sign &<< (isSingle ? 31 : 63), rest != 0, up != 0)
    }
}

extension FloatingPointState.Register {
    @inline(__always)
    var negated: Self { Self(significand: significand, signExponent: signExponent ^ 0x8000) }

    @inline(__always)
    fileprivate var host: HostX87Register { HostX87Register(significand: significand, signExponent: signExponent) }
}

extension CPU {
    /// Whether x87 instructions run in the environment of `X87Normal`: also without CR0.EM, CR0.TS and a pending exception.
    @inline(__always)
    var isX87Plain: Bool {
        state.cr0 & (CR0.em | CR0.ts) == 0 && state.fpu.control & 0xF3F == 0x33F && state.fpu.status & X87Status.errorSummary == 0
    }

    /// What ends an instruction that is no control instruction.
    @inline(__always)
    func finishX87() -> Status {
        state.fpu.instructionPointer = state.rip
        state.fpu.instructionSelector = hasX87Selectors ? state.segments[unchecked: SegmentIndex.cs].selector : 0
        return Retire.next
    }

    /// The flags of a masked result.
    @inline(__always)
    func noteX87(isInexact: Bool, roundedUp: Bool) {
        let status = state.fpu.status & ~X87Status.c1
        state.fpu.status = status | (isInexact ? X87Exceptions.precision.rawValue : 0) | (roundedUp ? X87Status.c1 : 0)
    }
}

/// Registers by physical number, without a check of what the caller knows.
extension FloatingPointState {
    @inline(__always)
    func isNormal(_ physical: Int) -> Bool { tag &>> UInt16(truncatingIfNeeded: 2 &* physical) & 3 == 0 }

    /// #P was signaled before and not cleared since.
    @inline(__always)
    var hasInexact: Bool { status & X87Exceptions.precision.rawValue != 0 }

    @inline(__always)
    func isInUse(_ physical: Int) -> Bool { tag &>> UInt16(truncatingIfNeeded: 2 &* physical) & 3 != Self.emptyTag }

    /// Pushes a normal number on a stack that has room.
    @inline(__always)
    mutating func pushNormal(_ value: Register) {
        let number = (top &- 1) & 7
        registers[unchecked: number] = value
        tag &= ~(3 &<< UInt16(truncatingIfNeeded: 2 &* number))
        top = number
    }

    @inline(__always)
    mutating func popQuickly() {
        let number = top
        tag |= 3 &<< UInt16(truncatingIfNeeded: 2 &* number)
        top = number &+ 1
    }
}

import CHostFloat

/// SSE, SSE2, SSE3 and SSE4.1 floating point (Intel SDM Vol. 1 chapters 10 to 12).
let sseFloatingPointRows: [InstructionRow] =
    sseArithmeticRows + sseHorizontalRows + sseLogicRows + sseComparisonRows + sseConversionRows + sseIntegerConversionRows
    + sseRoundingRows + sseApproximationRows

/// MXCSR (Intel SDM Vol. 1 10.2.3).
enum MXCSR {
    static let invalid: UInt32 = 1 << 0, denormal: UInt32 = 1 << 1, zeroDivide: UInt32 = 1 << 2, overflow: UInt32 = 1 << 3
    static let underflow: UInt32 = 1 << 4, precision: UInt32 = 1 << 5
    static let denormalsAreZeros: UInt32 = 1 << 6, flushToZero: UInt32 = 1 << 15
    /// The exceptions found before an operation's result is (11.5.2): one of them unmasked keeps the others from showing.
    static let beforeOperation: UInt32 = invalid | denormal | zeroDivide
    static let flags: UInt32 = 0x3F
    /// All exceptions masked.
    static let masks: UInt32 = 0x1F80
    /// Bits that exist: MXCSR_MASK (ruling R13).
    static let writable: UInt32 = 0xFFFF

    /// The rounding mode: 0 nearest, 1 down, 2 up, 3 toward zero.
    @inline(__always) static func rounding(_ mxcsr: UInt32) -> UInt32 { mxcsr >> 13 & 3 }

    /// The exception flags whose masks are clear.
    @inline(__always) static func unmasked(_ mxcsr: UInt32) -> UInt32 { ~mxcsr >> 7 & flags }
}

extension CPU {
    /// Runs an operation of the host under the guest's MXCSR; nil: a SIMD exception was left behind, with its flags set.
    @inline(__always)
    func floatingPoint(_ operation: HostFloatOperation, _ a: Vector, _ b: Vector) -> Vector? {
        let mxcsr = state.fpu.mxcsr
        if mxcsr & MXCSR.masks != MXCSR.masks { return unmaskedFloatingPoint(operation, a, b) }
        var flags: UInt32 = 0
        let result = host_float(operation, a, b, mxcsr, &flags)
        state.fpu.mxcsr = mxcsr | flags
        return result
    }

    @inline(never)
    private func unmaskedFloatingPoint(_ operation: HostFloatOperation, _ a: Vector, _ b: Vector) -> Vector? {
        var exceptions = SIMDExceptions(mxcsr: state.fpu.mxcsr)
        let result = exceptions.perform(operation, a, b)
        return signal(exceptions) ? result : nil
    }

    /// Sets the flags of an instruction that found `exceptions`; false: one of them is unmasked, and its fault was left behind.
    func signal(_ exceptions: SIMDExceptions) -> Bool {
        let unmasked = MXCSR.unmasked(state.fpu.mxcsr)
        var found = exceptions.found
        if found & MXCSR.beforeOperation & unmasked != 0 { found &= MXCSR.beforeOperation }
        state.fpu.mxcsr |= found
        if found & unmasked == 0 { return true }
        // Without CR4.OSXMMEXCPT the system does not know of #XM (Intel SDM Vol. 3A 2.5).
        core.pointee.fault = state.cr4 & CR4.osxmmexcpt != 0 ? .simd : .invalidOpcode
        return false
    }

    /// The same for flags as the host gives them, of operations that neither over- nor underflow.
    @inline(__always)
    func signal(_ flags: UInt32) -> Bool {
        if state.fpu.mxcsr & MXCSR.masks == MXCSR.masks {
            state.fpu.mxcsr |= flags
            return true
        }
        return signal(SIMDExceptions(mxcsr: state.fpu.mxcsr, found: flags))
    }

    /// What an operation of the host is to be given as MXCSR, so that the flags it returns are its own where that matters.
    @inline(__always)
    var operationMXCSR: UInt32 {
        let mxcsr = state.fpu.mxcsr
        return mxcsr & MXCSR.masks == MXCSR.masks ? mxcsr : mxcsr & ~MXCSR.flags
    }
}

/// The exceptions of an instruction while some are unmasked (Intel SDM Vol. 1 11.5).
///
/// The host runs with all of them masked. What it then tells of over- and underflow is not what the unmasked exceptions are: an
/// unmasked underflow is any tiny result, exact ones too, and sets PE only where the result would not fit the precision with an
/// exponent of any size; the same holds for PE beside an unmasked overflow. FTZ counts for nothing while underflow is unmasked.
struct SIMDExceptions {
    private let mxcsr: UInt32
    private(set) var found: UInt32

    init(mxcsr: UInt32, found: UInt32 = 0) {
        self.mxcsr = mxcsr
        self.found = found
    }

    private var unmasked: UInt32 { MXCSR.unmasked(mxcsr) }

    /// The masked result; `found` gains the exceptions.
    mutating func perform(_ operation: HostFloatOperation, _ a: Vector, _ b: Vector) -> Vector {
        var control = mxcsr & ~MXCSR.flags
        if unmasked & MXCSR.underflow != 0 { control &= ~MXCSR.flushToZero }
        var flags: UInt32 = 0
        let result = host_float(operation, a, b, control, &flags)
        if unmasked & (MXCSR.overflow | MXCSR.underflow) != 0, let shape = LaneShape(operation) {
            flags &= MXCSR.beforeOperation
            for lane in 0..<shape.count { flags |= afterOperation(shape, a, b, lane, control) }
        }
        found |= flags
        return result
    }

    /// OE, UE and PE of one element.
    private func afterOperation(_ shape: LaneShape, _ a: Vector, _ b: Vector, _ lane: Int, _ control: UInt32) -> UInt32 {
        let b = shape.element(b, lane)
        // Conversions look at the second operand only.
        let a = shape.arithmetic == HOST_ROUND ? b : shape.element(a, lane)
        var flags: UInt32 = 0
        _ = host_float(shape.scalar, Vector(a, 0), Vector(b, 0), control, &flags)
        flags &= MXCSR.flags & ~MXCSR.beforeOperation
        guard let x = shape.finite(a, control), let y = shape.finite(b, control) else { return flags }
        if shape.arithmetic == HOST_DIVIDE, y == 0 { return flags }
        let unbounded = host_float_unbounded(shape.arithmetic, x, y, shape.isDoubleResult ? 1 : 0, MXCSR.rounding(control))
        if unbounded.isZero != 0 { return flags }
        let precision = unbounded.isInexact != 0 ? MXCSR.precision : 0
        if unbounded.exponent > (shape.isDoubleResult ? 1023 : 127) {
            return unmasked & MXCSR.overflow != 0 ? MXCSR.overflow | precision : flags
        }
        if unbounded.exponent < (shape.isDoubleResult ? -1022 : -126) {
            return unmasked & MXCSR.underflow != 0 ? MXCSR.underflow | precision : flags
        }
        return flags
    }
}

/// How an operation that may over- or underflow works on its elements.
private struct LaneShape {
    let arithmetic: HostFloatArithmetic
    /// The same operation on one element.
    let scalar: HostFloatOperation
    let count: Int
    let isDoubleSource: Bool
    let isDoubleResult: Bool

    /// Nil: the operation's results always fit.
    init?(_ operation: HostFloatOperation) {
        let families: [(HostFloatOperation, HostFloatArithmetic)] = [
            (HOST_ADDPS, HOST_ADD), (HOST_SUBPS, HOST_SUBTRACT), (HOST_MULPS, HOST_MULTIPLY), (HOST_DIVPS, HOST_DIVIDE),
        ]
        for (first, arithmetic) in families where (first.rawValue..<first.rawValue + 4).contains(operation.rawValue) {
            // The order within a family: PS, PD, SS, SD.
            let format = Int(operation.rawValue - first.rawValue)
            self.arithmetic = arithmetic
            count = [4, 2, 1, 1][format]
            isDoubleSource = format & 1 != 0
            isDoubleResult = isDoubleSource
            scalar = HostFloatOperation(rawValue: first.rawValue + 2 + UInt32(format & 1))
            return
        }
        guard operation == HOST_CVTPD2PS || operation == HOST_CVTSD2SS else { return nil }
        arithmetic = HOST_ROUND
        count = operation == HOST_CVTPD2PS ? 2 : 1
        isDoubleSource = true
        isDoubleResult = false
        scalar = HOST_CVTSD2SS
    }

    /// The bits of an element.
    func element(_ vector: Vector, _ lane: Int) -> UInt64 {
        isDoubleSource ? vector[lane] : vector[lane >> 1] >> UInt64(32 * (lane & 1)) & 0xFFFF_FFFF
    }

    /// An element's value, exact in double precision; nil: an infinity or a NaN.
    func finite(_ bits: UInt64, _ mxcsr: UInt32) -> Double? {
        let value = isDoubleSource ? Double(bitPattern: bits) : Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
        guard value.isFinite else { return nil }
        let isDenormal = isDoubleSource ? bits & 0x7FF0_0000_0000_0000 == 0 : bits & 0x7F80_0000 == 0
        return isDenormal && mxcsr & MXCSR.denormalsAreZeros != 0 ? 0 * value : value
    }
}

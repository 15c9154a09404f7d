import CZydis

/// PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (Intel SDM Vol. 2B 4.1). Their memory operand may stand anywhere.
let stringComparisonRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_PCMPESTRI, .sse42) { compare($0.cpu, $1.instruction, explicitLengths, setIndex) },
    InstructionRow(ZYDIS_MNEMONIC_PCMPESTRM, .sse42) { compare($0.cpu, $1.instruction, explicitLengths, setMask) },
    InstructionRow(ZYDIS_MNEMONIC_PCMPISTRI, .sse42) { compare($0.cpu, $1.instruction, implicitLengths, setIndex) },
    InstructionRow(ZYDIS_MNEMONIC_PCMPISTRM, .sse42) { compare($0.cpu, $1.instruction, implicitLengths, setMask) },
]

/// Two fragments of strings and what the control byte asks of them. Masks have a bit for each element, the lowest first.
private struct StringComparison {
    let control: UInt8
    let first: Vector
    let second: Vector
    /// Elements of each that belong to the string.
    var firstLength: UInt32 = 0
    var secondLength: UInt32 = 0

    init(_ first: Vector, _ second: Vector, control: UInt8) {
        self.first = first
        self.second = second
        self.control = control
    }

    private var hasWords: Bool { control & 1 != 0 }
    private var isSigned: Bool { control & 2 != 0 }
    var count: UInt32 { hasWords ? 8 : 16 }
    var all: UInt32 { hasWords ? 0xFF : 0xFFFF }
    private var firstValid: UInt32 { ~(UInt32.max &<< firstLength) }
    private var secondValid: UInt32 { ~(UInt32.max &<< secondLength) }

    /// The elements in front of the first that is zero.
    func length(of string: Vector) -> UInt32 {
        let zeros = hasWords ? Vector(bits: string.words .== SIMD8<UInt16>()).wordMask : Vector(bits: string.bytes .== SIMD16<UInt8>()).byteMask
        return min(count, UInt32(truncatingIfNeeded: zeros.trailingZeroBitCount))
    }

    private func firstElement(_ index: UInt32) -> UInt16 {
        hasWords ? first.words[Int(index & 7)] : UInt16(first.bytes[Int(index & 15)])
    }

    /// Which elements of the second equal `element`.
    private func matches(_ element: UInt16) -> UInt32 {
        if hasWords { return Vector(bits: second.words .== SIMD8(repeating: element)).wordMask }
        return Vector(bits: second.bytes .== SIMD16(repeating: UInt8(truncatingIfNeeded: element))).byteMask
    }

    /// Which elements of the second lie between `low` and `high`, both inclusive.
    private func matches(from low: UInt16, through high: UInt16) -> UInt32 {
        // Signed order is unsigned order with the top bits turned round.
        if hasWords {
            let bias: UInt16 = isSigned ? 0x8000 : 0
            let elements = second.words ^ bias
            let inside = Vector(bits: elements .>= SIMD8(repeating: low ^ bias)) & Vector(bits: elements .<= SIMD8(repeating: high ^ bias))
            return inside.wordMask
        }
        let bias: UInt8 = isSigned ? 0x80 : 0
        let elements = second.bytes ^ bias
        let lowest = SIMD16(repeating: UInt8(truncatingIfNeeded: low) ^ bias)
        let highest = SIMD16(repeating: UInt8(truncatingIfNeeded: high) ^ bias)
        return (Vector(bits: elements .>= lowest) & Vector(bits: elements .<= highest)).byteMask
    }

    /// IntRes1: the comparisons, with those of elements behind a string's end forced as table 4-7 has it.
    private var aggregated: UInt32 {
        switch control &>> 2 & 3 {
        case 0:
            var result: UInt32 = 0
            for index in 0..<firstLength { result |= matches(firstElement(index)) }
            return result & secondValid
        case 1:
            var result: UInt32 = 0
            var index: UInt32 = 0
            while index &+ 1 < firstLength {
                result |= matches(from: firstElement(index), through: firstElement(index &+ 1))
                index &+= 2
            }
            return result & secondValid
        case 2:
            let equal = hasWords ? Vector(bits: first.words .== second.words).wordMask : Vector(bits: first.bytes .== second.bytes).byteMask
            return equal & firstValid & secondValid | ~firstValid & ~secondValid & all
        default:
            // Beyond the fragment's end nothing is compared.
            var result = all
            for index in 0..<firstLength {
                let equal = matches(firstElement(index)) & secondValid
                result &= equal &>> index | all &<< (count &- index)
            }
            return result
        }
    }

    /// IntRes2.
    var result: UInt32 {
        switch control &>> 4 & 3 {
        case 1: ~aggregated & all
        case 3: aggregated ^ secondValid
        default: aggregated
        }
    }
}

@inline(__always)
private func compare(
    _ cpu: CPU, _ instruction: InstructionReference, _ setLengths: (CPU, InstructionReference, inout StringComparison) -> Void,
    _ setResult: (CPU, StringComparison, UInt32) -> Void
) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    guard let second = cpu.readVector(instruction, 1, aligned: false) else { return Retire.fault }
    let first = cpu.xmm(instruction.pointee.operands[unchecked: 0].register)
    var comparison = StringComparison(first, second, control: instruction.pointee.immediateByte)
    setLengths(cpu, instruction, &comparison)
    let result = comparison.result
    setResult(cpu, comparison, result)
    cpu.setStatus(
        (result != 0 ? Flag.cf : 0) | (result & 1 != 0 ? Flag.of : 0)
            | (comparison.secondLength < comparison.count ? Flag.zf : 0) | (comparison.firstLength < comparison.count ? Flag.sf : 0))
    return Retire.next
}

/// Lengths in EAX and EDX, or RAX and RDX: their magnitudes, up to the number of elements.
private func explicitLengths(_ cpu: CPU, _ instruction: InstructionReference, _ comparison: inout StringComparison) {
    let isWide = instruction.pointee.prefixes.contains(.rexW)
    let count = UInt64(comparison.count)
    func length(_ register: UInt64) -> UInt32 {
        let value = isWide ? Int64(bitPattern: register) : Int64(Int32(truncatingIfNeeded: register))
        return UInt32(truncatingIfNeeded: min(value.magnitude, count))
    }
    comparison.firstLength = length(cpu.state.gpr[GPR.rax])
    comparison.secondLength = length(cpu.state.gpr[GPR.rdx])
}

private func implicitLengths(_: CPU, _: InstructionReference, _ comparison: inout StringComparison) {
    comparison.firstLength = comparison.length(of: comparison.first)
    comparison.secondLength = comparison.length(of: comparison.second)
}

/// ECX: the lowest or highest bit set, or the number of elements.
private func setIndex(_ cpu: CPU, _ comparison: StringComparison, _ result: UInt32) {
    let isHighest = comparison.control & 0x40 != 0
    let index = isHighest ? 31 - result.leadingZeroBitCount : result.trailingZeroBitCount
    cpu.state.gpr[GPR.rcx] = result == 0 ? UInt64(comparison.count) : UInt64(truncatingIfNeeded: index)
}

/// XMM0: the bits, or an element of all ones for each.
private func setMask(_ cpu: CPU, _ comparison: StringComparison, _ result: UInt32) {
    if comparison.control & 0x40 == 0 {
        cpu.setXMM(0, Vector(UInt64(result), 0))
    } else if comparison.count == 8 {
        let bits = SIMD8<UInt16>(1, 2, 4, 8, 16, 32, 64, 128)
        cpu.setXMM(0, Vector(bits: (bits & SIMD8(repeating: UInt16(truncatingIfNeeded: result))) .== bits))
    } else {
        let half = SIMD8<UInt8>(1, 2, 4, 8, 16, 32, 64, 128)
        let bits = SIMD16(lowHalf: half, highHalf: half)
        let low = SIMD8(repeating: UInt8(truncatingIfNeeded: result))
        let high = SIMD8(repeating: UInt8(truncatingIfNeeded: result &>> 8))
        cpu.setXMM(0, Vector(bits: (bits & SIMD16(lowHalf: low, highHalf: high)) .== bits))
    }
}

import CHostFloat
import CZydis

/// Additions and subtractions across elements, and dot products (Intel SDM Vol. 1 12.3.3, 12.3.4, 12.9.3).
let sseHorizontalRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_ADDSUBPS, .sse3) { addSubtractSingle($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_ADDSUBPD, .sse3) { addSubtractDouble($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_HADDPS, .sse3) { horizontalSingle($0.cpu, $1.instruction, HOST_ADDPS) },
    InstructionRow(ZYDIS_MNEMONIC_HSUBPS, .sse3) { horizontalSingle($0.cpu, $1.instruction, HOST_SUBPS) },
    InstructionRow(ZYDIS_MNEMONIC_HADDPD, .sse3) { horizontalDouble($0.cpu, $1.instruction, HOST_ADDPD) },
    InstructionRow(ZYDIS_MNEMONIC_HSUBPD, .sse3) { horizontalDouble($0.cpu, $1.instruction, HOST_SUBPD) },
    InstructionRow(ZYDIS_MNEMONIC_DPPS, .sse41) { dotSingle($0.cpu, $1.instruction) },
    InstructionRow(ZYDIS_MNEMONIC_DPPD, .sse41) { dotDouble($0.cpu, $1.instruction) },
]

/// Four single-precision elements, or four doublewords.
typealias Singles = SIMD4<UInt32>

extension Singles {
    @inline(__always) init(_ vector: Vector) { self = unsafeBitCast(vector, to: Singles.self) }
}

extension Vector {
    @inline(__always) init(_ singles: Singles) { self = unsafeBitCast(singles, to: Vector.self) }
}

/// Reads both operands, has `body` make the result (nil: a fault was left behind) and writes it.
@inline(__always)
private func combine(_ cpu: CPU, _ instruction: InstructionReference, _ body: (Vector, Vector) -> Vector?) -> Status {
    if let refusal = cpu.sseRefusal() { return refusal }
    let destination = instruction.pointee.operands[unchecked: 0].register
    guard let b = cpu.readVector(instruction, 1), let result = body(cpu.xmm(destination), b) else { return Retire.fault }
    cpu.setXMM(destination, result)
    return Retire.next
}

// MARK: ADDSUBPS, ADDSUBPD: each half of the elements is computed twice, since SSE2 has no operation on every other one

private func addSubtractSingle(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    combine(cpu, instruction) { a, b in
        let a = Singles(a)
        let b = Singles(b)
        var exceptions = SIMDExceptions(mxcsr: cpu.state.fpu.mxcsr)
        let low = exceptions.perform(HOST_SUBPS, Vector(Singles(a[0], a[0], a[2], a[2])), Vector(Singles(b[0], b[0], b[2], b[2])))
        let high = exceptions.perform(HOST_ADDPS, Vector(Singles(a[1], a[1], a[3], a[3])), Vector(Singles(b[1], b[1], b[3], b[3])))
        let even = Singles(low)
        let odd = Singles(high)
        return cpu.signal(exceptions) ? Vector(Singles(even[0], odd[0], even[2], odd[2])) : nil
    }
}

private func addSubtractDouble(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    combine(cpu, instruction) { a, b in
        var exceptions = SIMDExceptions(mxcsr: cpu.state.fpu.mxcsr)
        let low = exceptions.perform(HOST_SUBSD, a, b)
        let high = exceptions.perform(HOST_ADDSD, Vector(a[1], 0), Vector(b[1], 0))
        return cpu.signal(exceptions) ? Vector(low[0], high[0]) : nil
    }
}

// MARK: HADDPS, HSUBPS, HADDPD, HSUBPD

@inline(__always)
private func horizontalSingle(_ cpu: CPU, _ instruction: InstructionReference, _ operation: HostFloatOperation) -> Status {
    combine(cpu, instruction) { a, b in
        let a = Singles(a)
        let b = Singles(b)
        return cpu.floatingPoint(operation, Vector(Singles(a[0], a[2], b[0], b[2])), Vector(Singles(a[1], a[3], b[1], b[3])))
    }
}

@inline(__always)
private func horizontalDouble(_ cpu: CPU, _ instruction: InstructionReference, _ operation: HostFloatOperation) -> Status {
    combine(cpu, instruction) { a, b in cpu.floatingPoint(operation, Vector(a[0], b[0]), Vector(a[1], b[1])) }
}

// MARK: DPPS, DPPD: products of the elements that bits 4 to 7 select, their sum to those that bits 0 to 3 select

private func dotSingle(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    let selection = instruction.pointee.immediate
    let sources = mask32(selection >> 4)
    return combine(cpu, instruction) { a, b in
        // An element that is not selected is +0 and signals nothing.
        guard let products = cpu.floatingPoint(HOST_MULPS, Vector(Singles(a) & sources), Vector(Singles(b) & sources)) else { return nil }
        // Sums in the order of processors, which makes a difference to NaNs alone: each element adds to its neighbour, then to the
        // other pair's sum.
        let p = Singles(products)
        guard let pairs = cpu.floatingPoint(HOST_ADDPS, Vector(Singles(p[1], p[0], p[3], p[2])), products) else { return nil }
        let s = Singles(pairs)
        guard let sums = cpu.floatingPoint(HOST_ADDPS, pairs, Vector(Singles(s[2], s[3], s[0], s[1]))) else { return nil }
        return Vector(Singles(sums) & mask32(selection))
    }
}

private func dotDouble(_ cpu: CPU, _ instruction: InstructionReference) -> Status {
    let selection = instruction.pointee.immediate
    let sources = mask64(selection >> 4)
    return combine(cpu, instruction) { a, b in
        guard let products = cpu.floatingPoint(HOST_MULPD, a & sources, b & sources) else { return nil }
        guard let sum = cpu.floatingPoint(HOST_ADDPD, products, Vector(products[1], products[0])) else { return nil }
        return sum & mask64(selection)
    }
}

/// All ones in the elements whose bit is set.
func mask32(_ bits: UInt64) -> Singles {
    let bits = UInt32(truncatingIfNeeded: bits)
    return 0 &- Singles(bits & 1, bits >> 1 & 1, bits >> 2 & 1, bits >> 3 & 1)
}

func mask64(_ bits: UInt64) -> Vector { 0 &- Vector(bits & 1, bits >> 1 & 1) }

import CZydis

/// String instructions (Intel SDM Vol. 1 5.1.8; Vol. 2B REP). Each iteration is a step (ruling R1).
///
/// MOVSD and CMPSD also name SSE2 instructions: those are in map 0F and no form of these rows.
let stringRows: [InstructionRow] = [
    InstructionRow(ZYDIS_MNEMONIC_MOVSB) { movs($0.cpu, $1.instruction, UInt8.self) },
    InstructionRow(ZYDIS_MNEMONIC_MOVSW) { movs($0.cpu, $1.instruction, UInt16.self) },
    oneByte(ZYDIS_MNEMONIC_MOVSD) { movs($0.cpu, $1.instruction, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_MOVSQ) { movs($0.cpu, $1.instruction, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_CMPSB) { cmps($0.cpu, $1.instruction, UInt8.self) },
    InstructionRow(ZYDIS_MNEMONIC_CMPSW) { cmps($0.cpu, $1.instruction, UInt16.self) },
    oneByte(ZYDIS_MNEMONIC_CMPSD) { cmps($0.cpu, $1.instruction, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_CMPSQ) { cmps($0.cpu, $1.instruction, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_SCASB) { scas($0.cpu, $1.instruction, UInt8.self) },
    InstructionRow(ZYDIS_MNEMONIC_SCASW) { scas($0.cpu, $1.instruction, UInt16.self) },
    InstructionRow(ZYDIS_MNEMONIC_SCASD) { scas($0.cpu, $1.instruction, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_SCASQ) { scas($0.cpu, $1.instruction, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_LODSB) { lods($0.cpu, $1.instruction, UInt8.self) },
    InstructionRow(ZYDIS_MNEMONIC_LODSW) { lods($0.cpu, $1.instruction, UInt16.self) },
    InstructionRow(ZYDIS_MNEMONIC_LODSD) { lods($0.cpu, $1.instruction, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_LODSQ) { lods($0.cpu, $1.instruction, UInt64.self) },
    InstructionRow(ZYDIS_MNEMONIC_STOSB) { stos($0.cpu, $1.instruction, UInt8.self) },
    InstructionRow(ZYDIS_MNEMONIC_STOSW) { stos($0.cpu, $1.instruction, UInt16.self) },
    InstructionRow(ZYDIS_MNEMONIC_STOSD) { stos($0.cpu, $1.instruction, UInt32.self) },
    InstructionRow(ZYDIS_MNEMONIC_STOSQ) { stos($0.cpu, $1.instruction, UInt64.self) },
]

private func oneByte(_ mnemonic: ZydisMnemonic, _ handler: @escaping Handler) -> InstructionRow {
    InstructionRow(mnemonic, select: { $0.map == 0 ? handler : nil })
}

extension CPU {
    /// Writes CX, ECX or RCX (or another register that the address size measures); a 16-bit write keeps the upper bits.
    @inline(__always)
    func setAddressRegister(_ register: Int, _ value: UInt64, mask: UInt64) {
        let kept = mask == 0xFFFF ? state.gpr[unchecked: register] & ~0xFFFF : 0
        state.gpr[unchecked: register] = kept | value & mask
    }

    /// Moves eSI or eDI past one element, in the direction that DF gives.
    @inline(__always)
    func advance(_ register: Int, by count: UInt64, mask: UInt64) {
        let value = state.gpr[unchecked: register]
        setAddressRegister(register, state.rflags & Flag.df == 0 ? value &+ count : value &- count, mask: mask)
    }

    /// Executes a string instruction: `once` performs one iteration and moves the index registers, or leaves a fault.
    ///
    /// Under REP each iteration commits and counts as a step, the loop going on while the budget lasts: a store to watched code,
    /// a device access or a single step ends it after that iteration (rulings R5, R9 and R21). `run` may perform several
    /// iterations at once, at most as many as it is given, and says how many; 0: none, `once` is to do it.
    /// `compares`: REP and REPNE also look at ZF. `indices`: the registers that REP cuts to the address size before anything
    /// else, like the count (Undefined.md).
    @inline(__always)
    func iterate(
        _ instruction: InstructionReference, compares: Bool = false, indices: (Int, Int)? = nil,
        run: (UInt64) -> UInt64 = { _ in 0 }, _ once: () -> Bool
    ) -> Status {
        let prefixes = instruction.pointee.prefixes
        if prefixes.isDisjoint(with: [.rep, .repne]) { return once() ? Retire.next : Retire.fault }
        let mask = instruction.pointee.addressMask
        var count = state.gpr[unchecked: GPR.rcx] & mask
        setAddressRegister(GPR.rcx, count, mask: mask)
        if let indices {
            setAddressRegister(indices.0, state.gpr[unchecked: indices.0], mask: mask)
            setAddressRegister(indices.1, state.gpr[unchecked: indices.1], mask: mask)
        }
        if count == 0 { return Retire.next }
        // Only the last comparison sets flags: one that goes on leaves them for a fault in the next (Intel SDM Vol. 2B, REP).
        let status = state.rflags & Flag.status
        let start = state.position
        while true {
            // Fetching this instruction may have ended the budget already.
            let budget = core.pointee.stopAt > state.position ? core.pointee.stopAt &- state.position : 1
            let done = run(min(count, budget))
            if done > 0 {
                state.position &+= done &- 1
                count &-= done
            } else {
                guard once() else { return Retire.fault }
                count &-= 1
            }
            setAddressRegister(GPR.rcx, count, mask: mask)
            if count == 0 || (compares && (state.rflags & Flag.zf != 0) != prefixes.contains(.rep)) { break }
            if compares { setStatus(status) }
            if state.position &+ 1 >= core.pointee.stopAt {
                // Between iterations RF is set: what comes now pushes it (Intel SDM Vol. 3B 17.3.1.1).
                state.rflags |= Flag.rf
                if PlantedFault.lostIteration.isPlanted, count > 1 { setAddressRegister(GPR.rcx, count &- 1, mask: mask) }
                return Retire.again
            }
            state.position &+= 1
        }
        if state.position == start { return Retire.next }
        // The inner loop holds a copy of the position, which `again` makes it drop; RIP is then left alone, so it is set here.
        state.rip = (state.rip &+ UInt64(instruction.pointee.length)) & core.pointee.ipMask
        return Retire.again
    }

    /// The host address of an access that needs nothing but the access: RAM with a translation at hand, inside segment and
    /// page, watched by nobody.
    @inline(__always)
    fileprivate func direct(_ segment: Int, _ offset: UInt64, count: UInt64, write: Bool) -> UnsafeMutableRawPointer? {
        let cache = core.pointee.segmentCache[unchecked: segment]
        let linear = (cache.base &+ offset) & core.pointee.linearMask
        let entry = core.pointee.tlb + Int(truncatingIfNeeded: linear &>> 12 & core.pointee.tlbMask)
        guard offset &+ count <= (write ? cache.writeEnd : cache.readEnd),
            (write ? entry.pointee.write : entry.pointee.read) == linear & ~0xFFF,
            linear & 0xFFF <= 0x1000 - count
        else { return nil }
        // SAFETY: the tag matched, so `host` is a page of RAM, and `count` bytes from here end inside it.
        return UnsafeMutableRawPointer(bitPattern: entry.pointee.host &+ UInt(linear & 0xFFF))
    }

    /// How many elements of `size` bytes, upwards from `offset`, end inside the page and the segment and below the wrap of the
    /// address size.
    @inline(__always)
    fileprivate func elements(_ segment: Int, _ offset: UInt64, size: UInt64, mask: UInt64, write: Bool) -> UInt64 {
        let cache = core.pointee.segmentCache[unchecked: segment]
        let linear = (cache.base &+ offset) & core.pointee.linearMask
        let end = write ? cache.writeEnd : cache.readEnd
        let inSegment = min(end > offset ? end &- offset : 0, mask &- offset)
        return min(0x1000 &- (linear & 0xFFF), inSegment) / size
    }

    /// Source and destination of an iteration that `direct` cannot serve: both probed in full before anything is accessed
    /// (ruling R10).
    fileprivate func probeBoth(
        _ first: (segment: Int, offset: UInt64), _ second: (segment: Int, offset: UInt64), count: UInt64, write: Bool
    ) throws(Fault) -> (Span, Span) {
        let privilege = privilege
        let from = try linearAddress(first.segment, first.offset, count: count, write: false)
        let source = try translate(from, count: count, .read, as: privilege)
        let to = try linearAddress(second.segment, second.offset, count: count, write: write)
        return (source, try translate(to, count: count, write ? .write : .read, as: privilege))
    }
}

// MARK: MOVS

@inline(__always)
private func movs<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    cpu.iterate(instruction, indices: (GPR.rsi, GPR.rdi), run: { moveRun(cpu, instruction, atMost: $0, W.self) }) {
        let mask = instruction.pointee.addressMask
        let from = cpu.state.gpr[unchecked: GPR.rsi] & mask
        let to = cpu.state.gpr[unchecked: GPR.rdi] & mask
        let segment = Int(instruction.pointee.segment)
        if let source = cpu.direct(segment, from, count: W.byteCount, write: false),
            let destination = cpu.direct(SegmentIndex.es, to, count: W.byteCount, write: true)
        {
            destination.storeBytes(of: source.loadUnaligned(as: W.self), as: W.self)
        } else {
            guard moveSlowly(cpu, (segment, from), to, count: W.byteCount) else { return false }
        }
        cpu.advance(GPR.rsi, by: W.byteCount, mask: mask)
        cpu.advance(GPR.rdi, by: W.byteCount, mask: mask)
        return true
    }
}

@inline(never)
private func moveSlowly(_ cpu: CPU, _ source: (Int, UInt64), _ destination: UInt64, count: UInt64) -> Bool {
    do throws(Fault) {
        let (from, to) = try cpu.probeBoth(source, (SegmentIndex.es, destination), count: count, write: true)
        cpu.write(to, cpu.read(from))
        return true
    } catch {
        cpu.core.pointee.fault = error
        return false
    }
}

/// Ascending moves inside one page on either side.
@inline(__always)
private func moveRun<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, atMost limit: UInt64, _: W.Type) -> UInt64 {
    guard limit >= 4, cpu.state.rflags & Flag.df == 0 else { return 0 }
    let mask = instruction.pointee.addressMask
    let from = cpu.state.gpr[unchecked: GPR.rsi] & mask
    let to = cpu.state.gpr[unchecked: GPR.rdi] & mask
    let segment = Int(instruction.pointee.segment)
    let count = min(
        limit, cpu.elements(segment, from, size: W.byteCount, mask: mask, write: false),
        cpu.elements(SegmentIndex.es, to, size: W.byteCount, mask: mask, write: true))
    let bytes = count &* W.byteCount
    guard count >= 4, let source = cpu.direct(segment, from, count: bytes, write: false),
        let destination = cpu.direct(SegmentIndex.es, to, count: bytes, write: true)
    else { return 0 }
    let distance = destination - source
    if distance > 0 && distance < Int(bytes) {
        // The destination runs into the source: what was moved is moved again, element by element.
        for offset in stride(from: 0, to: Int(bytes), by: MemoryLayout<W>.size) {
            (destination + offset).storeBytes(of: (source + offset).loadUnaligned(as: W.self), as: W.self)
        }
    } else {
        destination.copyMemory(from: source, byteCount: Int(bytes))
    }
    cpu.setAddressRegister(GPR.rsi, from &+ bytes, mask: mask)
    cpu.setAddressRegister(GPR.rdi, to &+ bytes, mask: mask)
    return count
}

// MARK: STOS

@inline(__always)
private func stos<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    cpu.iterate(instruction, indices: (GPR.rdi, GPR.rdi), run: { storeRun(cpu, instruction, atMost: $0, W.self) }) {
        let mask = instruction.pointee.addressMask
        let value = W(truncatingIfNeeded: cpu.state.gpr[unchecked: GPR.rax])
        guard cpu.store(SegmentIndex.es, cpu.state.gpr[unchecked: GPR.rdi] & mask, value) else { return false }
        cpu.advance(GPR.rdi, by: W.byteCount, mask: mask)
        return true
    }
}

/// Ascending stores inside one page.
@inline(__always)
private func storeRun<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, atMost limit: UInt64, _: W.Type) -> UInt64 {
    guard limit >= 4, cpu.state.rflags & Flag.df == 0 else { return 0 }
    let mask = instruction.pointee.addressMask
    let to = cpu.state.gpr[unchecked: GPR.rdi] & mask
    let count = min(limit, cpu.elements(SegmentIndex.es, to, size: W.byteCount, mask: mask, write: true))
    let bytes = count &* W.byteCount
    guard count >= 4, let destination = cpu.direct(SegmentIndex.es, to, count: bytes, write: true) else { return 0 }
    let value = W(truncatingIfNeeded: cpu.state.gpr[unchecked: GPR.rax])
    for offset in stride(from: 0, to: Int(bytes), by: MemoryLayout<W>.size) {
        (destination + offset).storeBytes(of: value, as: W.self)
    }
    cpu.setAddressRegister(GPR.rdi, to &+ bytes, mask: mask)
    return count
}

// MARK: LODS, SCAS, CMPS

@inline(__always)
private func lods<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    cpu.iterate(instruction) {
        let mask = instruction.pointee.addressMask
        let offset = cpu.state.gpr[unchecked: GPR.rsi] & mask
        guard let value = cpu.load(Int(instruction.pointee.segment), offset, as: W.self) else { return false }
        cpu.setRegister(0, value)
        cpu.advance(GPR.rsi, by: W.byteCount, mask: mask)
        return true
    }
}

@inline(__always)
private func scas<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    cpu.iterate(instruction, compares: true) {
        let mask = instruction.pointee.addressMask
        guard let b = cpu.load(SegmentIndex.es, cpu.state.gpr[unchecked: GPR.rdi] & mask, as: W.self) else { return false }
        let a = W(truncatingIfNeeded: cpu.state.gpr[unchecked: GPR.rax])
        cpu.setFlags(subtracting: b, from: a, result: a &- b)
        cpu.advance(GPR.rdi, by: W.byteCount, mask: mask)
        return true
    }
}

@inline(__always)
private func cmps<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    cpu.iterate(instruction, compares: true) {
        let mask = instruction.pointee.addressMask
        let first = cpu.state.gpr[unchecked: GPR.rsi] & mask
        let second = cpu.state.gpr[unchecked: GPR.rdi] & mask
        let segment = Int(instruction.pointee.segment)
        let a: W
        let b: W
        if let source = cpu.direct(segment, first, count: W.byteCount, write: false),
            let other = cpu.direct(SegmentIndex.es, second, count: W.byteCount, write: false)
        {
            a = source.loadUnaligned(as: W.self)
            b = other.loadUnaligned(as: W.self)
        } else {
            guard let (slowA, slowB) = loadBoth(cpu, (segment, first), second, count: W.byteCount) else { return false }
            a = W(truncatingIfNeeded: slowA)
            b = W(truncatingIfNeeded: slowB)
        }
        cpu.setFlags(subtracting: b, from: a, result: a &- b)
        cpu.advance(GPR.rsi, by: W.byteCount, mask: mask)
        cpu.advance(GPR.rdi, by: W.byteCount, mask: mask)
        return true
    }
}

@inline(never)
private func loadBoth(_ cpu: CPU, _ first: (Int, UInt64), _ second: UInt64, count: UInt64) -> (UInt64, UInt64)? {
    do throws(Fault) {
        let (a, b) = try cpu.probeBoth(first, (SegmentIndex.es, second), count: count, write: false)
        let low = cpu.read(a)
        return (low, cpu.read(b))
    } catch {
        cpu.core.pointee.fault = error
        return nil
    }
}

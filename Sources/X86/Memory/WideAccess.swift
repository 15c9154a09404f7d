/// 128 bits as two 64-bit halves, the low one first: what an XMM register holds.
typealias Vector = SIMD2<UInt64>

/// Memory operands of 16 bytes. Devices see them as two accesses of 8 bytes, low first (ruling R11).
extension CPU {
    /// Nil: a fault was left behind. `aligned`: #GP(0) unless the linear address is a multiple of 16 (Intel SDM Vol. 1 4.1.1).
    @inline(__always)
    func loadVector(_ segment: Int, _ offset: UInt64, aligned: Bool) -> Vector? {
        let cache = core.pointee.segmentCache[unchecked: segment]
        let linear = (cache.base &+ offset) & core.pointee.linearMask
        let entry = core.pointee.tlb + Int(truncatingIfNeeded: linear &>> 12 & core.pointee.tlbMask)
        if offset &+ 16 <= cache.readEnd, offset <= .max - 16,
            entry.pointee.read == linear & ~0xFFF,
            aligned ? linear & 15 == 0 : linear & 0xFFF <= 0x1000 - 16,
            let host = UnsafeRawPointer(bitPattern: entry.pointee.host)
        {
            // SAFETY: the tag matched, so `host` is a page of RAM, and the access ends inside it.
            return host.loadUnaligned(fromByteOffset: Int(truncatingIfNeeded: linear & 0xFFF), as: Vector.self)
        }
        return loadVectorSlowly(segment, offset, aligned: aligned)
    }

    /// False: a fault was left behind and nothing was stored.
    @inline(__always)
    func storeVector(_ segment: Int, _ offset: UInt64, _ value: Vector, aligned: Bool) -> Bool {
        let cache = core.pointee.segmentCache[unchecked: segment]
        let linear = (cache.base &+ offset) & core.pointee.linearMask
        let entry = core.pointee.tlb + Int(truncatingIfNeeded: linear &>> 12 & core.pointee.tlbMask)
        if offset &+ 16 <= cache.writeEnd, offset <= .max - 16,
            entry.pointee.write == linear & ~0xFFF,
            aligned ? linear & 15 == 0 : linear & 0xFFF <= 0x1000 - 16,
            let host = UnsafeMutableRawPointer(bitPattern: entry.pointee.host)
        {
            // SAFETY: as in `loadVector`.
            (host + Int(truncatingIfNeeded: linear & 0xFFF)).storeBytes(of: value, as: Vector.self)
            return true
        }
        return storeVectorSlowly(segment, offset, value, aligned: aligned)
    }

    @inline(never)
    private func loadVectorSlowly(_ segment: Int, _ offset: UInt64, aligned: Bool) -> Vector? {
        do throws(Fault) {
            let span = try vectorSpan(segment, offset, aligned: aligned, write: false)
            return Vector(read(span.low), read(span.high))
        } catch {
            core.pointee.fault = error
            return nil
        }
    }

    @inline(never)
    private func storeVectorSlowly(_ segment: Int, _ offset: UInt64, _ value: Vector, aligned: Bool) -> Bool {
        do throws(Fault) {
            let span = try vectorSpan(segment, offset, aligned: aligned, write: true)
            write(span.low, value[0])
            write(span.high, value[1])
            return true
        } catch {
            core.pointee.fault = error
            return false
        }
    }

    /// The two halves of a 16-byte access, probed whole.
    private func vectorSpan(_ segment: Int, _ offset: UInt64, aligned: Bool, write: Bool) throws(Fault) -> (low: Span, high: Span) {
        // Alignment comes before what the segment forbids: #GP(0) where that would be #SS(0).
        let base = is64Bit && segment < SegmentIndex.fs ? 0 : state.segments[segment].base
        if aligned, (base &+ offset) & 15 != 0 { throw .generalProtection(0) }
        let linear = try linearAddress(segment, offset, count: 16, write: write)
        let whole = try translate(linear, count: 16, write ? .write : .read, as: privilege)
        if whole.firstCount <= 8 {
            let low = Span(first: whole.first, firstCount: whole.firstCount, second: whole.second, secondCount: 8 - whole.firstCount)
            return (low, Span(first: whole.second &+ low.secondCount, firstCount: 8))
        }
        let high = Span(
            first: whole.first &+ 8, firstCount: whole.firstCount - 8, second: whole.second, secondCount: 16 - whole.firstCount)
        return (Span(first: whole.first, firstCount: 8), high)
    }
}

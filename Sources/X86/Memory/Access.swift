/// Memory access through segments and translations. The fast path is a segment limit, a TLB tag and a page-end check; all else
/// goes through one slow path that is exact in faults and their order (rulings R7, R8, R10 and R11).
extension CPU {
    // MARK: By segment and offset, for hot handlers: nil or false means that a fault was left behind.

    @inline(__always)
    func load<W: Width>(_ segment: Int, _ offset: UInt64, as width: W.Type) -> W? {
        let cache = core.pointee.segmentCache[unchecked: segment]
        let linear = (cache.base &+ offset) & core.pointee.linearMask
        let entry = core.pointee.tlb + Int(truncatingIfNeeded: linear &>> 12 & core.pointee.tlbMask)
        if offset &+ W.byteCount <= cache.readEnd,
            entry.pointee.read == linear & ~0xFFF,
            linear & 0xFFF <= 0x1000 - W.byteCount,
            let host = UnsafeRawPointer(bitPattern: entry.pointee.host)
        {
            // SAFETY: the tag matched, so `host` is a page of RAM, and the access ends inside it.
            return host.loadUnaligned(fromByteOffset: Int(truncatingIfNeeded: linear & 0xFFF), as: W.self)
        }
        guard let value = loadSlowly(segment, offset, count: W.byteCount) else { return nil }
        return W(truncatingIfNeeded: value)
    }

    @inline(__always)
    func store<W: Width>(_ segment: Int, _ offset: UInt64, _ value: W) -> Bool {
        let cache = core.pointee.segmentCache[unchecked: segment]
        let linear = (cache.base &+ offset) & core.pointee.linearMask
        let entry = core.pointee.tlb + Int(truncatingIfNeeded: linear &>> 12 & core.pointee.tlbMask)
        if offset &+ W.byteCount <= cache.writeEnd,
            entry.pointee.write == linear & ~0xFFF,
            linear & 0xFFF <= 0x1000 - W.byteCount,
            let host = UnsafeMutableRawPointer(bitPattern: entry.pointee.host)
        {
            // SAFETY: as in `load`.
            (host + Int(truncatingIfNeeded: linear & 0xFFF)).storeBytes(of: value, as: W.self)
            return true
        }
        return storeSlowly(segment, offset, count: W.byteCount, UInt64(truncatingIfNeeded: value))
    }

    /// Read-modify-write: probed as a write, then `body` runs once on the old value; nil stores nothing but keeps the probe.
    @inline(__always)
    func modify<W: Width>(_ segment: Int, _ offset: UInt64, _ body: (W) -> W) -> Bool {
        let cache = core.pointee.segmentCache[unchecked: segment]
        let linear = (cache.base &+ offset) & core.pointee.linearMask
        let entry = core.pointee.tlb + Int(truncatingIfNeeded: linear &>> 12 & core.pointee.tlbMask)
        if offset &+ W.byteCount <= cache.writeEnd, offset &+ W.byteCount <= cache.readEnd,
            entry.pointee.write == linear & ~0xFFF,
            linear & 0xFFF <= 0x1000 - W.byteCount,
            let host = UnsafeMutableRawPointer(bitPattern: entry.pointee.host)
        {
            // SAFETY: as in `load`.
            let place = host + Int(truncatingIfNeeded: linear & 0xFFF)
            place.storeBytes(of: body(place.loadUnaligned(as: W.self)), as: W.self)
            return true
        }
        guard let target = prepareModify(segment, offset, count: W.byteCount) else { return false }
        let old = W(truncatingIfNeeded: read(target))
        write(target, UInt64(truncatingIfNeeded: body(old)))
        return true
    }

    @inline(never)
    private func loadSlowly(_ segment: Int, _ offset: UInt64, count: UInt64) -> UInt64? {
        core.pointee.slowAccesses &+= 1
        do throws(Fault) {
            let linear = try linearAddress(segment, offset, count: count, write: false)
            return read(try translate(linear, count: count, .read, as: privilege))
        } catch {
            core.pointee.fault = error
            return nil
        }
    }

    @inline(never)
    private func storeSlowly(_ segment: Int, _ offset: UInt64, count: UInt64, _ value: UInt64) -> Bool {
        core.pointee.slowAccesses &+= 1
        do throws(Fault) {
            let linear = try linearAddress(segment, offset, count: count, write: true)
            write(try translate(linear, count: count, .write, as: privilege), value)
            return true
        } catch {
            core.pointee.fault = error
            return false
        }
    }

    @inline(never)
    private func prepareModify(_ segment: Int, _ offset: UInt64, count: UInt64) -> Span? {
        core.pointee.slowAccesses &+= 1
        do throws(Fault) {
            if !state.segments[segment].rights.readable, usesDescriptors, !is64Bit {
                throw segmentFault(segment)
            }
            let linear = try linearAddress(segment, offset, count: count, write: true)
            return try translate(linear, count: count, .write, as: privilege)
        } catch {
            core.pointee.fault = error
            return nil
        }
    }

    // MARK: By segment and offset, for handlers that throw.

    func loadChecked<W: Width>(_ segment: Int, _ offset: UInt64, as width: W.Type) throws(Fault) -> W {
        guard let value = load(segment, offset, as: W.self) else { throw core.pointee.fault }
        return value
    }

    func storeChecked<W: Width>(_ segment: Int, _ offset: UInt64, _ value: W) throws(Fault) {
        guard store(segment, offset, value) else { throw core.pointee.fault }
    }

    /// Makes sure that `count` bytes can be accessed without a fault, pages lowest first, setting A (and D) bits as the access
    /// itself would. At most two pages: `count` is 4,096 at most.
    func probe(_ segment: Int, _ offset: UInt64, count: UInt64, write: Bool) throws(Fault) {
        let linear = try linearAddress(segment, offset, count: count, write: write)
        _ = try translate(linear, count: count, write ? .write : .read, as: privilege)
    }

    // MARK: By linear address with supervisor privilege: descriptor tables, TSS, frames on an inner stack.

    func loadSystem<W: Width>(_ linear: UInt64, as width: W.Type) throws(Fault) -> W {
        let linear = isLongMode ? linear : linear & 0xFFFF_FFFF
        let entry = core.pointee.supervisorTLB + Int(truncatingIfNeeded: linear &>> 12 & core.pointee.tlbMask)
        if entry.pointee.read == linear & ~0xFFF, linear & 0xFFF <= 0x1000 - W.byteCount,
            let host = UnsafeRawPointer(bitPattern: entry.pointee.host)
        {
            // SAFETY: as in `load`.
            return host.loadUnaligned(fromByteOffset: Int(truncatingIfNeeded: linear & 0xFFF), as: W.self)
        }
        return W(truncatingIfNeeded: read(try systemSpan(linear, count: W.byteCount, .read)))
    }

    func storeSystem<W: Width>(_ linear: UInt64, _ value: W) throws(Fault) {
        write(try systemSpan(linear, count: W.byteCount, .write), UInt64(truncatingIfNeeded: value))
    }

    /// Probes `count` bytes at a linear address for a supervisor access.
    func probeSystem(_ linear: UInt64, count: UInt64, write: Bool) throws(Fault) {
        _ = try systemSpan(linear, count: count, write ? .write : .read)
    }

    /// Tables and stacks of IA-32e mode lie anywhere in 64 bits, in compatibility mode too.
    private func systemSpan(_ linear: UInt64, count: UInt64, _ access: Access) throws(Fault) -> Span {
        guard isLongMode else { return try translate(linear & 0xFFFF_FFFF, count: count, access, as: .system, mask: 0xFFFF_FFFF) }
        guard isCanonical(linear), isCanonical(linear &+ (count - 1)) else { throw .generalProtection(0) }
        return try translate(linear, count: count, access, as: .system, mask: .max)
    }

    // MARK: Segmentation

    /// The fault of an access that a segment forbids.
    func segmentFault(_ segment: Int) -> Fault { segment == SegmentIndex.ss ? .stack(0) : .generalProtection(0) }

    /// Checks an access against its segment (Intel SDM Vol. 3A 5.3, 5.4; in 64-bit mode canonicality, 3.3.7.1) and gives its linear
    /// address. Also reports data breakpoints and checks alignment where those are on.
    func linearAddress(_ segment: Int, _ offset: UInt64, count: UInt64, write: Bool) throws(Fault) -> UInt64 {
        let register = state.segments[segment]
        let linear: UInt64
        if is64Bit {
            linear = segment >= SegmentIndex.fs ? register.base &+ offset : offset
            guard isCanonical(linear), isCanonical(linear &+ (count - 1)) else { throw segmentFault(segment) }
        } else {
            let rights = register.rights
            if usesDescriptors {
                if rights.isUnusable || (write ? !rights.writable : !rights.readable) { throw segmentFault(segment) }
            }
            let last = offset &+ (count - 1)
            if rights.expandDown && !rights.isCode {
                let top: UInt64 = rights.big ? 0xFFFF_FFFF : 0xFFFF
                if offset <= UInt64(register.limit) || last > top || last < offset { throw segmentFault(segment) }
            } else if last > UInt64(register.limit) || last < offset {
                throw segmentFault(segment)
            }
            linear = (register.base &+ offset) & 0xFFFF_FFFF
        }
        if core.pointee.slowAccess {
            if state.cr0 & CR0.am != 0, state.rflags & Flag.ac != 0, state.cpl == 3, linear & (count - 1) != 0,
                count & (count - 1) == 0, count <= 8
            {
                throw .alignment
            }
            noteDataBreakpoints(linear, count: count, write: write)
        }
        return linear
    }

    @inline(__always)
    func isCanonical(_ linear: UInt64) -> Bool {
        UInt64(bitPattern: Int64(bitPattern: linear &<< 16) &>> 16) == linear
    }

    // MARK: Spans: bytes in at most two translated pages

    /// The physical places of an access of at most 4,096 bytes, pages already checked.
    struct Span {
        var first: UInt64
        /// Bytes in the first page.
        var firstCount: UInt64
        var second: UInt64 = 0
        /// Bytes in the second page; 0 when the access stays in the first.
        var secondCount: UInt64 = 0
    }

    enum Access { case read, write, execute }

    /// In whose name memory is accessed (Intel SDM Vol. 3A 4.6): user mode, supervisor mode, or the processor itself, which reads
    /// descriptor tables and task state for a program of any level.
    enum Privilege { case user, supervisor, system }

    /// The privilege of the running program's own accesses.
    @inline(__always) var privilege: Privilege { state.cpl == 3 ? .user : .supervisor }

    /// Translates all pages of an access, lowest first.
    func translate(_ linear: UInt64, count: UInt64, _ access: Access, as privilege: Privilege) throws(Fault) -> Span {
        try translate(linear, count: count, access, as: privilege, mask: core.pointee.linearMask)
    }

    /// The same with `mask` saying where linear addresses wrap.
    func translate(_ linear: UInt64, count: UInt64, _ access: Access, as privilege: Privilege, mask: UInt64) throws(Fault) -> Span {
        let room = 0x1000 - (linear & 0xFFF)
        let first = try translatePage(linear, access, as: privilege)
        guard count > room else { return Span(first: first, firstCount: count) }
        let next = (linear &+ room) & mask
        let second = try translatePage(next, access, as: privilege)
        return Span(first: first, firstCount: room, second: second, secondCount: count - room)
    }

    /// Reads up to 8 bytes, little-endian.
    func read(_ span: Span) -> UInt64 {
        let low = readPhysical(span.first, count: span.firstCount)
        guard span.secondCount > 0 else { return low }
        return low | readPhysical(span.second, count: span.secondCount) &<< (8 * span.firstCount)
    }

    func write(_ span: Span, _ value: UInt64) {
        writePhysical(span.first, count: span.firstCount, value)
        if span.secondCount > 0 { writePhysical(span.second, count: span.secondCount, value &>> (8 * span.firstCount)) }
    }

    // MARK: Physical memory, inside one page. Touching a device ends the budget (ruling R5).

    func readPhysical(_ address: UInt64, count: UInt64) -> UInt64 {
        let page = memory.pageIndex(of: address)
        if page >= 0 {
            let place = memory.pointer(page: page) + Int(address & 0xFFF)
            switch count {
            case 1: return UInt64(place.load(as: UInt8.self))
            case 2: return UInt64(place.loadUnaligned(as: UInt16.self))
            case 4: return UInt64(place.loadUnaligned(as: UInt32.self))
            case 8: return place.loadUnaligned(as: UInt64.self)
            default:
                var value: UInt64 = 0
                for byte in 0..<count { value |= UInt64(place.load(fromByteOffset: Int(byte), as: UInt8.self)) << (8 * byte) }
                return value
            }
        }
        requestAttention()
        guard count & (count - 1) == 0 else {
            var value: UInt64 = 0
            for byte in 0..<count {
                value |= (bus.readMMIO(PhysicalAddress(address &+ byte), width: 1) & 0xFF) << (8 * byte)
            }
            return value
        }
        return bus.readMMIO(PhysicalAddress(address), width: Int(count))
    }

    func writePhysical(_ address: UInt64, count: UInt64, _ value: UInt64) {
        let page = memory.writablePageIndex(of: address)
        if page >= 0 {
            memory.noteStore(page: page, offset: Int(address & 0xFFF), count: Int(count))
            let place = memory.pointer(page: page) + Int(address & 0xFFF)
            switch count {
            case 1: place.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
            case 2: place.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
            case 4: place.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
            case 8: place.storeBytes(of: value, as: UInt64.self)
            default:
                for byte in 0..<count {
                    place.storeBytes(of: UInt8(truncatingIfNeeded: value >> (8 * byte)), toByteOffset: Int(byte), as: UInt8.self)
                }
            }
            return
        }
        requestAttention()
        guard count & (count - 1) == 0 else {
            for byte in 0..<count { bus.writeMMIO(PhysicalAddress(address &+ byte), width: 1, value: value >> (8 * byte) & 0xFF) }
            return
        }
        bus.writeMMIO(PhysicalAddress(address), width: Int(count), value: value)
    }
}

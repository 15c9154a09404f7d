/// What `Core` derives from the state. Whatever changes segments, CPL, CR0, CR4, EFER, RFLAGS.VM, RFLAGS.AC or DR7 calls one of
/// these before the next instruction.
extension CPU {
    /// Derives everything anew: after a change of mode or privilege, and after a restore.
    func refreshMode() {
        let code = state.segments[SegmentIndex.cs].rights
        let stack = state.segments[SegmentIndex.ss].rights
        let long = isLongMode && code.long
        core.pointee.codeMode = long ? 2 : code.big ? 1 : 0
        core.pointee.linearMask = long ? .max : 0xFFFF_FFFF
        // 16-bit code that runs over FFFFH meets its limit at 10000H, or goes on there; only branches cut IP to 16 bits.
        core.pointee.ipMask = long ? .max : 0xFFFF_FFFF
        core.pointee.codeLimit = long ? .max : UInt64(state.segments[SegmentIndex.cs].limit)
        core.pointee.stackMask = long ? .max : stack.big ? 0xFFFF_FFFF : 0xFFFF
        core.pointee.tlb = translations(of: privilege)
        let checksAlignment = state.cr0 & CR0.am != 0 && state.rflags & Flag.ac != 0 && state.cpl == 3
        core.pointee.slowAccess = checksAlignment || watchesData
        for index in 0..<6 { deriveSegment(index) }
        refreshTranslationMode()
        if core.pointee.pauses.contains(.mode) { requestAttention() }
    }

    /// Derives one segment's cache: after a load that changes neither mode nor privilege.
    func refreshSegment(_ index: Int) {
        deriveSegment(index)
        refreshTranslationMode()
    }

    private func deriveSegment(_ index: Int) {
        let segment = state.segments[index]
        var cache = SegmentCache()
        if core.pointee.codeMode == 2 {
            cache.base = index >= SegmentIndex.fs ? segment.base : 0
            cache.readEnd = .max
            cache.writeEnd = .max
        } else {
            cache.base = segment.base
            let plain = !segment.rights.expandDown || segment.rights.isCode
            let end = plain ? UInt64(segment.limit) + 1 : 0
            let checksRights = usesDescriptors
            cache.readEnd = !checksRights || (segment.rights.readable && !segment.rights.isUnusable) ? end : 0
            cache.writeEnd = !checksRights || (segment.rights.writable && !segment.rights.isUnusable) ? end : 0
        }
        if core.pointee.slowAccess {
            cache.readEnd = 0
            cache.writeEnd = 0
        }
        core.pointee.segmentCache[index] = cache
        if index == SegmentIndex.ss, core.pointee.codeMode != 2 {
            core.pointee.stackMask = segment.rights.big ? 0xFFFF_FFFF : 0xFFFF
        }
    }

    /// What translated code may take for granted.
    private func refreshTranslationMode() {
        core.pointee.translationMode = translationMode
        core.pointee.translation.codeLimit = core.pointee.codeMode == 0 ? min(core.pointee.codeLimit, 0xFFFF) : core.pointee.codeLimit
    }

    private var translationMode: UInt8 {
        if core.pointee.slowAccess { return TranslationMode.none }
        if core.pointee.codeMode == 2 { return TranslationMode.long }
        let isNarrow = core.pointee.stackMask == 0xFFFF
        if core.pointee.codeMode == 0 { return isNarrow ? TranslationMode.code16 : TranslationMode.code16Stack32 }
        if isNarrow { return TranslationMode.code32Stack16 }
        guard core.pointee.segmentCache[SegmentIndex.cs].base == 0, core.pointee.codeLimit == 0xFFFF_FFFF else { return TranslationMode.code32 }
        for index in 0..<4 where index != SegmentIndex.cs {
            let cache = core.pointee.segmentCache[index]
            if cache.base != 0 || cache.readEnd != 1 << 32 || cache.writeEnd != 1 << 32 { return TranslationMode.segmented32 }
        }
        return TranslationMode.flat32
    }

    /// Some of DR0-DR3 watches data (Intel SDM Vol. 3B 17.2.4): R/W field 01 or 11, and enabled.
    var watchesData: Bool { hasBreakpoint { $0 & 1 != 0 } }

    /// Some of DR0-DR3 watches instruction fetches: R/W field 00, and enabled.
    var watchesCode: Bool { hasBreakpoint { $0 == 0 } }

    private func hasBreakpoint(_ matches: (UInt64) -> Bool) -> Bool {
        guard state.dr7 & 0xFF != 0 else { return false }
        for index: UInt64 in 0..<4 where state.dr7 >> (2 * index) & 3 != 0 && matches(state.dr7 >> (16 + 4 * index) & 3) {
            return true
        }
        return false
    }

    /// Collects the data breakpoints that an access of `count` bytes hits, for the trap behind the instruction.
    func noteDataBreakpoints(_ linear: UInt64, count: UInt64, write: Bool) {
        guard state.dr7 & 0xFF != 0 else { return }
        for index: UInt64 in 0..<4 where state.dr7 >> (2 * index) & 3 != 0 {
            let condition = state.dr7 >> (16 + 4 * index) & 3
            guard condition == 3 || (condition == 1 && write) else { continue }
            if breakpoint(index, overlaps: linear, count: count) { core.pointee.debugHits |= 1 << index }
        }
    }

    /// Whether DR`index`, with its LEN field, overlaps an address range.
    func breakpoint(_ index: UInt64, overlaps address: UInt64, count: UInt64) -> Bool {
        let length: UInt64 =
            switch state.dr7 >> (18 + 4 * index) & 3 {
            case 0: 1
            case 1: 2
            case 2: 8
            default: 4
            }
        let first = state.dr[Int(index)] & ~(length - 1)
        return first <= address &+ (count - 1) && address <= first &+ (length - 1)
    }
}

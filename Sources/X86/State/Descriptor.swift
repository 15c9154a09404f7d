/// An entry of a descriptor table: a segment or a gate (Intel SDM Vol. 3A 3.4.5, 3.5, 5.8.3, 6.11 and 6.14.1).
struct Descriptor {
    var low: UInt64
    /// The second half of the 16-byte system descriptors of IA-32e mode.
    var high: UInt64 = 0

    var rights: AccessRights { AccessRights(rawValue: UInt16(truncatingIfNeeded: low >> 40) & 0xF0FF) }
    var base: UInt64 { low >> 16 & 0xFF_FFFF | (low >> 56) << 24 | high << 32 }

    /// The limit in bytes, granularity applied.
    var limit: UInt32 {
        let raw = UInt32(truncatingIfNeeded: low & 0xFFFF | low >> 32 & 0xF_0000)
        return rights.granular ? raw << 12 | 0xFFF : raw
    }

    /// The bytes 4-7: what LAR looks at.
    var upperHalf: UInt32 { UInt32(truncatingIfNeeded: low >> 32) }

    /// What a segment register holds after a load: the load itself has set the accessed bit.
    func segment(selector: UInt16) -> Segment {
        let accessed: UInt16 = rights.isCodeOrData ? 1 : 0
        return Segment(selector: selector, base: base, limit: limit, rights: AccessRights(rawValue: rights.rawValue | accessed))
    }

    /// What a system descriptor is; nil for code, data and the reserved types.
    var system: SystemType? { rights.isCodeOrData ? nil : SystemType(rawValue: rights.type) }

    /// Types of system descriptors (Intel SDM Vol. 3A table 3-2).
    enum SystemType: UInt8 {
        case availableTSS16 = 1, ldt, busyTSS16, callGate16, taskGate, interruptGate16, trapGate16
        case availableTSS32 = 9, busyTSS32 = 11, callGate32, interruptGate32 = 14, trapGate32
    }

    // MARK: Gates

    /// The code segment or TSS that a gate leads to.
    var target: UInt16 { UInt16(truncatingIfNeeded: low >> 16) }
    var offset: UInt64 { low & 0xFFFF | (low >> 48) << 16 | high << 32 }
    /// How many parameters a call gate copies, in its own operand size.
    var parameterCount: Int { Int(low >> 32 & 0x1F) }
    /// The interrupt stack table's entry, 1-7; 0: none.
    var stackTableIndex: UInt64 { low >> 32 & 7 }
}

/// A segment register with its hidden part (Intel SDM Vol. 3A 3.4.3).
package struct Segment: Equatable, Sendable, Fields {
    /// The base, 64 bits wide for FS, GS, LDTR and TR.
    package var base: UInt64 = 0
    /// The limit in bytes, granularity applied.
    package var limit: UInt32 = 0
    package var selector: UInt16 = 0
    package var rights = AccessRights(rawValue: 0)

    package init() {}

    package init(selector: UInt16, base: UInt64, limit: UInt32, rights: AccessRights) {
        self.selector = selector
        self.base = base
        self.limit = limit
        self.rights = rights
    }

    /// What real mode and virtual-8086 mode make of a selector.
    package static func real(_ selector: UInt16, rights: AccessRights = .realData) -> Segment {
        Segment(selector: selector, base: UInt64(selector) << 4, limit: 0xFFFF, rights: rights)
    }

    package mutating func fields(_ visitor: inout some FieldVisitor) {
        visitor.integer("selector", &selector)
        visitor.integer("base", &base)
        visitor.integer("limit", &limit)
        visitor.integer("rights", &rights.rawValue)
    }
}

/// Bits 40-55 of a descriptor without its limit (Intel SDM Vol. 3A 3.4.5): type, S, DPL, P in the low byte, AVL, L, D/B, G in
/// bits 12-15. Bit 8 marks a null or otherwise unusable segment.
package struct AccessRights: Equatable, Sendable {
    package var rawValue: UInt16
    @inline(__always) package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let realData = AccessRights(rawValue: 0x0093)
    package static let realCode = AccessRights(rawValue: 0x009B)
    package static let flatCode32 = AccessRights(rawValue: 0xC09B)
    package static let code64 = AccessRights(rawValue: 0xA09B)
    package static let flatData32 = AccessRights(rawValue: 0xC093)
    package static let virtual8086 = AccessRights(rawValue: 0x00F3)
    package static let unusable = AccessRights(rawValue: 0x0100)

    @inline(__always) private func has(_ bit: UInt16) -> Bool { rawValue & bit != 0 }
    /// The four type bits.
    package var type: UInt8 { UInt8(truncatingIfNeeded: rawValue & 0xF) }
    /// A code or data segment rather than a system one.
    package var isCodeOrData: Bool { has(0x10) }
    package var dpl: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 5 & 3) }
    package var present: Bool { has(0x80) }
    package var isUnusable: Bool { has(0x100) }
    package var long: Bool { has(0x2000) }
    /// D for code, B for stack and expand-down data.
    package var big: Bool { has(0x4000) }
    package var granular: Bool { has(0x8000) }
    package var accessed: Bool { has(0x1) }
    package var isCode: Bool { rawValue & 0x18 == 0x18 }
    package var isData: Bool { rawValue & 0x18 == 0x10 }
    /// Code that may be read, or any data.
    package var readable: Bool { isData || (isCode && has(0x2)) }
    package var writable: Bool { isData && has(0x2) }
    package var conforming: Bool { isCode && has(0x4) }
    package var expandDown: Bool { isData && has(0x4) }
}

/// Segment register numbers as instructions encode them, then LDTR and TR.
package enum SegmentIndex {
    package static let es = 0, cs = 1, ss = 2, ds = 3, fs = 4, gs = 5, ldtr = 6, tr = 7
}

/// GDTR and IDTR.
package struct TableRegister: Equatable, Sendable, Fields {
    package var base: UInt64 = 0
    package var limit: UInt16 = 0
    package init() {}
    package init(base: UInt64, limit: UInt16) {
        self.base = base
        self.limit = limit
    }
    package mutating func fields(_ visitor: inout some FieldVisitor) {
        visitor.integer("base", &base)
        visitor.integer("limit", &limit)
    }
}

/// RFLAGS bits (Intel SDM Vol. 1 3.4.3).
package enum Flag {
    package static let cf: UInt64 = 1 << 0, pf: UInt64 = 1 << 2, af: UInt64 = 1 << 4, zf: UInt64 = 1 << 6, sf: UInt64 = 1 << 7
    package static let tf: UInt64 = 1 << 8, `if`: UInt64 = 1 << 9, df: UInt64 = 1 << 10, of: UInt64 = 1 << 11
    package static let iopl: UInt64 = 3 << 12, nt: UInt64 = 1 << 14, rf: UInt64 = 1 << 16, vm: UInt64 = 1 << 17
    package static let ac: UInt64 = 1 << 18, vif: UInt64 = 1 << 19, vip: UInt64 = 1 << 20, id: UInt64 = 1 << 21
    /// Bit 1, always set.
    package static let fixed: UInt64 = 1 << 1
    /// CF PF AF ZF SF OF.
    package static let status: UInt64 = cf | pf | af | zf | sf | of
}

/// Control register bits (Intel SDM Vol. 3A 2.5).
package enum CR0 {
    package static let pe: UInt64 = 1 << 0, mp: UInt64 = 1 << 1, em: UInt64 = 1 << 2, ts: UInt64 = 1 << 3, et: UInt64 = 1 << 4
    package static let ne: UInt64 = 1 << 5, wp: UInt64 = 1 << 16, am: UInt64 = 1 << 18, nw: UInt64 = 1 << 29, cd: UInt64 = 1 << 30
    package static let pg: UInt64 = 1 << 31
}

package enum CR4 {
    package static let vme: UInt64 = 1 << 0, pvi: UInt64 = 1 << 1, tsd: UInt64 = 1 << 2, de: UInt64 = 1 << 3, pse: UInt64 = 1 << 4
    package static let pae: UInt64 = 1 << 5, mce: UInt64 = 1 << 6, pge: UInt64 = 1 << 7, pce: UInt64 = 1 << 8
    package static let osfxsr: UInt64 = 1 << 9, osxmmexcpt: UInt64 = 1 << 10, umip: UInt64 = 1 << 11, fsgsbase: UInt64 = 1 << 16
    package static let pcide: UInt64 = 1 << 17, osxsave: UInt64 = 1 << 18, smep: UInt64 = 1 << 20, smap: UInt64 = 1 << 21
}

/// IA32_EFER bits (Intel SDM Vol. 3A 2.2.1).
package enum EFER {
    package static let sce: UInt64 = 1 << 0, lme: UInt64 = 1 << 8, lma: UInt64 = 1 << 10, nxe: UInt64 = 1 << 11
}

/// General-purpose register numbers.
package enum GPR {
    package static let rax = 0, rcx = 1, rdx = 2, rbx = 3, rsp = 4, rbp = 5, rsi = 6, rdi = 7
}

import CHostCPU

extension Sandbox {
    /// The sandbox's local descriptor table, as the processor sees it (drawn in CHostCPU.h). Entry n is selector 8n + 7.
    package static let localDescriptors: [UInt64] = [
        0x00df_fb00_0000_ffff, 0x00df_f300_0000_ffff, 0x0010_fb01_0000_ffff, 0x0010_f301_0000_ffff,
        0x0050_f301_0800_ffff, 0x0050_f301_1000_0fff, 0x0050_f101_0000_1fff, 0x0010_f701_0000_0fff,
        0x0010_f901_0000_ffff, 0x0010_7301_0000_ffff,
    ]

    /// The part of the kernel's global descriptor table that user code can tell: six flat segments (indices 1 to 6, the
    /// last three for user code) and no others but the TSS and LDT that an executor adds.
    package static let globalDescriptors: [UInt64] = [
        0, 0x00cf_9b00_0000_ffff, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_fb00_0000_ffff,
        0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff,
    ]

    package static let kernelCode32: UInt16 = 0x08
    package static let kernelCode64: UInt16 = 0x10
    package static let kernelData: UInt16 = 0x18

    package static let fsBase = UInt64(HOST_CPU_FS_BASE)
    package static let gsBase = UInt64(HOST_CPU_GS_BASE)

    /// The segment that a selector of the sandbox names; nil for a null selector or one outside the tables.
    package static func descriptor(_ selector: UInt16) -> UInt64? {
        let table = selector & 4 == 0 ? globalDescriptors : localDescriptors
        let index = Int(selector >> 3)
        return index < table.count && selector & ~3 != 0 ? table[index] : nil
    }

    /// The base of a code segment of the sandbox.
    package static func codeBase(_ selector: UInt16) -> UInt64 {
        guard let descriptor = descriptor(selector) else { return 0 }
        return descriptor >> 16 & 0xff_ffff | (descriptor >> 56) << 24
    }
}

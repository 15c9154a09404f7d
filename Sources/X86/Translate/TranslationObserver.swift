/// Host code that the translator has written.
package struct HostCode: Sendable {
    package enum Name: Sendable {
        /// A block, by the guest-physical address of its first byte, its `TranslationMode` and what its accesses share.
        case block(PhysicalAddress, mode: UInt8, sharing: Sharing)
        /// What all blocks share.
        case shared(String)
    }

    /// Where it runs in the host.
    package let address: UInt
    package let byteCount: Int
    package let name: Name
}

extension HostCode.Name: CustomStringConvertible {
    /// As profilers are to show it: `guest 0x1000040 (flat 32-bit)`, `translator: enter`.
    package var description: String {
        switch self {
        case .block(let address, let mode, let sharing):
            "guest 0x\(String(address.rawValue, radix: 16)) (\(TranslationMode.name(mode))\(sharing == .groups ? "" : ", sharing \(sharing)"))"
        case .shared(let name): "translator: \(name)"
        }
    }
}

/// Somebody who wants to know of each translation. Asked on the way to a translation only, never by code that runs.
package protocol TranslationObserver: AnyObject {
    /// A block is about to be translated.
    func willTranslate()
    /// It has been translated to `code`, which stays valid until the code cache is full and starts anew.
    func didTranslate(_ code: HostCode)
}

/// What a translator has done since it was made.
package struct TranslationCounts: Equatable, Sendable {
    /// Steps that translated code made itself.
    package let translatedSteps: UInt64
    /// Steps of instructions in translated blocks that handlers made.
    package let handlerSteps: UInt64
    /// How often translated code was entered from outside.
    package let entries: UInt64
    /// Blocks that were translated, each as often as it was.
    package let translations: UInt64
    /// How often all code was dropped at once.
    package let flushes: UInt64
    /// Bytes of translated code now.
    package let codeBytes: Int
}

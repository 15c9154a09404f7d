/// One entry of the TLB: three tags, each a linear page address with the generation in its low 12 bits, and the host page.
struct TranslationEntry {
    var read: UInt64 = 0
    var write: UInt64 = 0
    var execute: UInt64 = 0
    /// Host address of the page.
    var host: UInt = 0
}

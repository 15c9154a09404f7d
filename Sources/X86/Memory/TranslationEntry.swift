/// One entry of the TLB: three tags, each the linear address of a page, and the host page.
struct TranslationEntry {
    var read: UInt64
    var write: UInt64
    var execute: UInt64
    /// Host address of the page; 0 in an empty entry.
    var host: UInt = 0

    /// An empty entry.
    init(none tag: UInt64) {
        read = tag
        write = tag
        execute = tag
    }

    /// The tag that no address matches which is looked up in entry `index` of a TLB of two entries or more: that of a page which
    /// belongs to another entry. So the distance of an address from its entry's tag is below 4,096 where it matches and nowhere
    /// else, whatever its high bits are.
    @inline(__always)
    static func noTag(_ index: UInt64) -> UInt64 { index == 0 ? 0x1000 : 0 }
}

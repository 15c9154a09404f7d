/// The TLB entries that may match something: those filled since the last flush, for addresses in the low and in the high part, where
/// kernels are the same in all address spaces. Each stands once in a list, and may stand in both.
struct FilledEntries {
    typealias Entry = UnsafeMutablePointer<TranslationEntry>

    /// The first entry of the first TLB; the others follow.
    private let first: Entry
    /// For each entry, bit 0: it is in the low list, bit 1: in the high one.
    private let marks: UnsafeMutablePointer<UInt8>
    private let lists: (low: UnsafeMutablePointer<Entry>, high: UnsafeMutablePointer<Entry>)
    private var counts = (low: 0, high: 0)

    init(_ first: Entry, count: Int) {
        self.first = first
        marks = .allocate(capacity: count)
        marks.initialize(repeating: 0, count: count)
        lists = (.allocate(capacity: count), .allocate(capacity: count))
    }

    func deallocate() {
        marks.deallocate()
        lists.low.deallocate()
        lists.high.deallocate()
    }

    func count(isHigh: Bool) -> Int { isHigh ? counts.high : counts.low }
    @inline(__always) func entry(_ index: Int, isHigh: Bool) -> Entry { (isHigh ? lists.high : lists.low)[index] }

    /// Notes that an entry is filled.
    @inline(__always)
    mutating func note(_ entry: Entry, isHigh: Bool) {
        let mark: UInt8 = isHigh ? 2 : 1
        let number = entry - first
        if marks[number] & mark != 0 { return }
        marks[number] |= mark
        if isHigh {
            lists.high[counts.high] = entry
            counts.high += 1
        } else {
            lists.low[counts.low] = entry
            counts.low += 1
        }
    }

    /// Keeps the entries of one list that `isKept` names.
    @inline(__always)
    mutating func filter(isHigh: Bool, _ isKept: (Entry) -> Bool) {
        let list = isHigh ? lists.high : lists.low
        var kept = 0
        for index in 0..<count(isHigh: isHigh) {
            let entry = list[index]
            if isKept(entry) {
                list[kept] = entry
                kept += 1
            } else {
                marks[entry - first] &= isHigh ? ~2 : ~1
            }
        }
        if isHigh { counts.high = kept } else { counts.low = kept }
    }
}

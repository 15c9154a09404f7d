/// An access to memory that translated code makes, in terms of the registers before its instruction.
struct MemoryAccess {
    /// The instruction of the block.
    let instruction: Int
    /// As in `Instruction`; for RIP the displacement counts from the start of the block's page.
    let base: UInt8
    let index: UInt8
    let scale: UInt8
    let displacement: Int64
    let segment: UInt8
    /// Bytes of the address.
    let width: UInt8
    let size: UInt8
    let writes: Bool
    /// Nothing can be said of its address.
    var isUnknown = false

    /// The address does not depend on registers, so that its place in its page is known.
    var isFixed: Bool { base >= 16 && index >= 16 }
}

/// Which accesses of a block share one look into the TLB.
///
/// Registers are followed through the block: what is added to them, what is copied. Accesses whose addresses differ by a known
/// number of bytes form a group. The first of a group finds out that all of them lie in one page, and leaves the host address of
/// the lowest in a slot, from where the others take it: they can't fault, need no comparison and leave the flags alone.
///
/// Nothing but a handler changes the TLB, and where one drops something of it, the block is left. So a group ends at an
/// instruction without a rule, and otherwise with the block.
struct ProbePlan {
    enum Probe {
        /// It looks for itself.
        case own
        /// It looks for its group: `before` bytes below it begin the group's `span` bytes.
        case first(slot: Int, before: Int32, span: Int32, writes: Bool)
        /// It lies `offset` bytes above what the slot holds.
        case shared(slot: Int, offset: Int32)
    }

    /// By access, in the order in which the code makes them.
    private(set) var probes: [Probe]
    /// By instruction: it looks into the TLB.
    private(set) var looks: [Bool]
    /// By instruction: it accesses memory.
    private var accesses: [Bool]

    static let slotCount = 8
    /// The longest group, in bytes. The longer, the more often it lies in two pages.
    private static let longest: Int64 = 256
    private static let pageBytes: Int64 = 4096

    /// What is known of a register: that many bytes above a value that has no other name.
    private struct Value: Equatable {
        var root: Int
        var delta: Int64 = 0
    }

    /// What the addresses of a group have in common.
    private struct Key: Equatable {
        var base: Int
        var index: Int
        var scale: UInt8
        var segment: UInt8
        var width: UInt8
        /// Of addresses that are fixed: their page, seen from the block's or from 0. Of others the page, if that is known.
        var page: Int64
    }

    private struct Group {
        let key: Key
        let slot: Int
        var low: Int64
        var end: Int64
        var writes: Bool
        /// The block may have been left since it began.
        var isBehindExit = false
        /// Accesses and how far they are from the group's zero.
        var members: [(access: Int, at: Int64)]
    }

    private var values = (0..<16).map { Value(root: $0) }
    private var roots = 16
    private var open: [Group] = []
    private var used = 0

    /// The registers where the block begins, if groups are to end where a page does.
    private let registers: GuestRegisters?

    /// The plan for a block's accesses, given in order. `rules`: of its instructions.
    init(
        _ accesses: [MemoryAccess], _ instructions: UnsafeMutablePointer<Substep>, _ rules: [TranslationRule?], mode: UInt8,
        at registers: GuestRegisters?
    ) {
        self.registers = registers
        probes = [Probe](repeating: .own, count: accesses.count)
        looks = [Bool](repeating: false, count: rules.count)
        self.accesses = looks
        var next = 0
        for (index, rule) in rules.enumerated() {
            while next < accesses.count, accesses[next].instruction == index {
                place(accesses[next], next, mode: mode)
                next += 1
            }
            if let rule {
                if rule.leaves { for index in open.indices { open[index].isBehindExit = true } }
                follow(instructions[index].instruction, width: mode == TranslationMode.long ? 8 : 4)
            } else {
                forgetAll()
            }
        }
        forgetAll()
        for (access, probe) in zip(accesses, probes) {
            self.accesses[access.instruction] = true
            if case .shared = probe { continue }
            looks[access.instruction] = true
        }
    }

    /// Lets each access look for itself.
    mutating func shareNothing() {
        for index in probes.indices {
            probes[index] = .own
        }
        for index in looks.indices where accesses[index] { looks[index] = true }
    }

    // MARK: Groups

    private mutating func place(_ access: MemoryAccess, _ number: Int, mode: UInt8) {
        guard !access.isUnknown, let (key, at) = key(access, mode: mode) else { return }
        let end = at + Int64(access.size)
        let longest = access.isFixed ? Self.pageBytes : Self.longest
        if let found = open.firstIndex(where: { $0.key == key }) {
            let group = open[found]
            let (low, high) = (min(group.low, at), max(group.end, end))
            if high - low <= longest, !access.writes || group.writes || !group.isBehindExit {
                open[found].low = low
                open[found].end = high
                open[found].writes = group.writes || access.writes
                open[found].members.append((number, at))
                return
            }
            close(open.remove(at: found))
        }
        if open.count == Self.slotCount { close(open.removeFirst()) }
        open.append(Group(key: key, slot: freeSlot, low: at, end: end, writes: access.writes, members: [(number, at)]))
    }

    private var freeSlot: Int {
        (0..<Self.slotCount).first { slot in !open.contains { $0.slot == slot } } ?? 0
    }

    /// The group that an access may be in, and its place there; nil: in none.
    private func key(_ access: MemoryAccess, mode: UInt8) -> (Key, Int64)? {
        let isFlat = access.segment < UInt8(SegmentIndex.fs) && (mode == TranslationMode.long || access.segment != UInt8(SegmentIndex.cs))
        guard mode == TranslationMode.long || mode == TranslationMode.flat32 && isFlat, access.width >= 4 else { return nil }
        var key = Key(base: -Int(access.base), index: -1, scale: 0, segment: isFlat ? 0 : access.segment, width: access.width, page: 0)
        var at = access.displacement
        if access.isFixed {
            key.page = at >> 12
            guard at & (Self.pageBytes - 1) + Int64(access.size) <= Self.pageBytes else { return nil }
            return (key, at & (Self.pageBytes - 1))
        }
        // Behind a base an address of 32 bits may wrap within a page.
        guard isFlat || access.width == 8 else { return nil }
        if access.base < 16 {
            key.base = values[Int(access.base)].root
            at += values[Int(access.base)].delta
        }
        if access.index < 16 {
            key.index = values[Int(access.index)].root
            key.scale = access.scale
            at += values[Int(access.index)].delta << Int64(access.scale)
        }
        // Displacements of host instructions have to hold what comes of it.
        guard abs(at) < 1 << 30, abs(access.displacement) < 1 << 30 else { return nil }
        if let registers, key.base < 16, key.index < 16 {
            let address = registers.address(base: key.base, index: key.index, scale: key.scale, at, access)
            guard address & 0xFFF + UInt64(access.size) <= 4096 else { return nil }
            key.page = Int64(bitPattern: address >> 12)
        }
        return (key, at)
    }

    private mutating func close(_ group: Group) {
        guard group.members.count > 1 else { return }
        for (position, member) in group.members.enumerated() {
            let offset = Int32(member.at - group.low)
            probes[member.access] =
                position == 0
                ? .first(slot: group.slot, before: offset, span: Int32(group.end - group.low), writes: group.writes)
                : .shared(slot: group.slot, offset: offset)
        }
    }

    private mutating func forgetAll() {
        for group in open { close(group) }
        open = []
        for register in 0..<16 { renew(register) }
    }

    // MARK: Registers

    private mutating func renew(_ register: Int) {
        values[register] = Value(root: roots)
        roots += 1
    }

    private mutating func renew(_ operand: Instruction.Operand) {
        if operand.kind == .general { renew(Int(operand.register >> 3)) }
    }

    private mutating func set(_ operand: Instruction.Operand, _ value: Value, by difference: Int64) {
        let delta = value.delta + difference
        guard abs(delta) < 1 << 28 else { return renew(operand) }
        values[Int(operand.register >> 3)] = Value(root: value.root, delta: delta)
    }

    /// What an instruction does to the registers. `width`: of addresses.
    private mutating func follow(_ instruction: Instruction, width: UInt8) {
        let (first, second) = (instruction.operands[0], instruction.operands[1])
        let isWhole = first.kind == .general && first.size == width
        let stack = Value(root: values[4].root, delta: values[4].delta)
        let stackOperand = Instruction.Operand(kind: .general, register: 4 * 8, size: width)
        switch RegisterEffects.of(instruction) {
        case .none: return
        case .destination: renew(first)
        case .sum(let negated):
            guard isWhole, second.kind == .immediate else { return renew(first) }
            let value = Int64(instruction.shortImmediate)
            set(first, values[Int(first.register >> 3)], by: negated ? -value : value)
        case .count(let difference):
            guard isWhole else { return renew(first) }
            set(first, values[Int(first.register >> 3)], by: difference)
        case .copy:
            guard isWhole, second.kind == .general, second.size == width else { return renew(first) }
            set(first, values[Int(second.register >> 3)], by: 0)
        case .address:
            guard isWhole, instruction.base < 16, instruction.index >= 16, instruction.addressSize == width else { return renew(first) }
            let displacement = Int64(bitPattern: instruction.displacement)
            guard abs(displacement) < 1 << 28 else { return renew(first) }
            set(first, values[Int(instruction.base)], by: displacement)
        case .push: set(stackOperand, stack, by: -Int64(instruction.operandSize))
        case .pop:
            set(stackOperand, stack, by: Int64(instruction.operandSize))
            renew(first)
        case .leave:
            set(stackOperand, values[5], by: Int64(instruction.operandSize))
            renew(5)
        case .both:
            renew(first)
            renew(second)
        case .product:
            guard second.kind == .none else { return renew(first) }
            renew(0)
            renew(2)
        case .accumulator: renew(0)
        case .data: renew(2)
        case .unknown: forgetAll()
        }
    }
}

/// What a guest's registers held where a block began.
struct GuestRegisters {
    private let general: InlineArray<16, UInt64>
    private let bases: InlineArray<6, UInt64>

    init(_ cpu: CPU) {
        general = cpu.state.gpr
        bases = InlineArray { cpu.core.pointee.segmentCache[$0].base }
    }

    /// The linear address of an access, `at` bytes from the sum of two registers; negative numbers: without one.
    fileprivate func address(base: Int, index: Int, scale: UInt8, _ at: Int64, _ access: MemoryAccess) -> UInt64 {
        var address = UInt64(bitPattern: at)
        if base >= 0 { address &+= general[base] }
        if index >= 0 { address &+= general[index] &<< UInt64(scale) }
        if access.width == 4 { address &= 0xFFFF_FFFF }
        return access.segment >= UInt8(SegmentIndex.fs) ? address &+ bases[Int(access.segment)] : address
    }
}

/// How x87 instructions run on the host's own unit, whose stack is empty between them: its control word is 037FH, so that it rounds
/// as the environment of `X87Normal` does.
///
/// TOP is taken for what it was where the block was translated, so that each ST(i) has a place; each instruction compares control
/// and status word, and the tags of what it takes, before it does anything.
extension BlockTranslator {
    private static let plainControl: Int32 = 0x33F
    private static let roundingControl: Int32 = 0xC00

    /// ST(`index`) by its physical number.
    func physical(_ index: Int) -> Int { (x87Top + index) & 7 }

    /// A physical register's place; its sign and exponent lie at 8.
    func x87Register(_ number: Int, at displacement: Int32 = 0) -> HostOperand {
        var place = Slot.x87Registers
        place.displacement += Int32(MemoryLayout<FloatingPointState.Register>.stride * number) + displacement
        return .memory(place)
    }

    /// The byte with a physical register's tag, and where in it that stands.
    private func tag(ofPhysical number: Int) -> (place: HostOperand, shift: Int32) {
        var place = Slot.x87Tag
        place.displacement += Int32(number / 4)
        return (.memory(place), 2 * Int32(number % 4))
    }

    // MARK: What has to hold

    /// Leaves the instruction to its handler, which faults, unless CR0 lets it use x87 registers.
    mutating func requireX87() {
        taggedMMX = nil
        if hasX87 { return }
        assembler.arithmetic(8, 1, .memory(Slot.cr0), immediate: Int32(CR0.em | CR0.ts))
        miss(if: 5)
        hasX87 = true
    }

    /// Leaves the instruction to its handler unless exceptions are masked and none is pending, results are rounded to the nearest of
    /// 64 bits, and TOP is where it is thought to be.
    /// - Parameters:
    ///   - used: stack indexes of operands: normal or zero.
    ///   - pushes: the register above the stack is empty.
    ///   - mayRound: #P was signaled before: nobody can see whether the result is inexact.
    ///   - anyRounding: rounding control does not matter.
    mutating func requirePlainX87(using used: [Int], pushes: Bool = false, mayRound: Bool = false, anyRounding: Bool = false) {
        requireX87()
        let inexact = mayRound ? Int32(X87Exceptions.precision.rawValue) : 0
        let statusMask = Int32(X87Status.errorSummary) | 7 << 11 | inexact
        let controlMask = Self.plainControl | (anyRounding ? 0 : Self.roundingControl)
        assembler.load(4, .rax, .memory(Slot.x87Control))
        assembler.arithmetic(4, 4, .register(.rax), immediate: statusMask << 16 | controlMask)
        assembler.arithmetic(7, 4, .register(.rax), immediate: (Int32(x87Top) << 11 | inexact) << 16 | Self.plainControl)
        miss(if: 5)
        // Special and empty are 10B and 11B.
        for first in [0, 4] {
            let mask = used.map(physical).filter { $0 / 4 == first / 4 }.reduce(Int32(0)) { $0 | 2 << tag(ofPhysical: $1).shift }
            guard mask != 0 else { continue }
            assembler.arithmetic(8, 1, tag(ofPhysical: first).place, immediate: mask)
            miss(if: 5)
        }
        guard pushes else { return }
        let (place, shift) = tag(ofPhysical: physical(-1))
        assembler.extend(signed: false, from: 1, .rax, place)
        assembler.arithmetic(4, 4, .register(.rax), immediate: 3 << shift)
        assembler.arithmetic(7, 4, .register(.rax), immediate: 3 << shift)
        miss(if: 5)
    }

    /// Leaves the instruction to its handler if the host has found more than an inexact result. The host's status word is in RAX.
    mutating func requireNoException() {
        // FNSTSW AX
        assembler.bytes(0xDF, 0xE0)
        missIfException(in: .rax)
    }

    /// The same with the status word in a register already.
    mutating func missIfException(in register: HostRegister) {
        assembler.arithmetic(8, 4, .register(register), immediate: 0x1F)
        misses.append(Miss(jump: assembler.jump(if: 5), hasMXCSR: hasMXCSR, hasUsedX87: true))
    }

    /// FNINIT: as every process begins.
    mutating func initializeHostX87() { assembler.bytes(0xDB, 0xE3) }

    // MARK: Values

    /// Pushes a physical register on the host's stack.
    mutating func pushOnHost(_ number: Int) { assembler.instruction(4, 0xDB, 5, x87Register(number)) }

    /// Pops the host's stack into a physical register: a number that is not infinite.
    mutating func popFromHost(_ number: Int) {
        assembler.instruction(4, 0xDB, 7, x87Register(number))
        tagResult(number)
    }

    /// Sets the tag of a physical register that got a finite number. Leaves RAX and RCX alone.
    mutating func tagResult(_ number: Int) {
        assembler.arithmetic(8, 1, x87Register(number, at: 7), immediate: 0x80)
        let jump = assembler.jump(if: 4)
        setTag(ofPhysical: number, 0)
        cold.append(.x87Tag(jump, number, resume: assembler.cursor))
    }

    /// Changes the host's flags.
    mutating func setTag(ofPhysical number: Int, _ value: Int32) {
        let (place, shift) = tag(ofPhysical: number)
        if value != 3 { assembler.arithmetic(4, 1, place, immediate: ~(3 << shift)) }
        if value != 0 { assembler.arithmetic(1, 1, place, immediate: value << shift) }
    }

    mutating func writeTag(ofPhysical number: Int, _ jump: Assembler.Jump, resume: UnsafeMutablePointer<UInt8>) {
        assembler.join(jump)
        assembler.arithmetic(7, 8, x87Register(number), immediate: 0)
        let isDenormal = assembler.jump(if: 5)
        setTag(ofPhysical: number, 1)
        assembler.jump(to: resume)
        assembler.join(isDenormal)
        setTag(ofPhysical: number, 2)
        assembler.jump(to: resume)
    }

    // MARK: The end of an instruction

    /// Moves TOP as the instruction does, marking what it pops as empty, replaces condition bits of the status word, and notes the
    /// instruction's address. Changes RAX, RCX and the host's flags.
    /// - Parameters:
    ///   - replaced: the bits that get new values.
    ///   - host: those of them that come from RAX; the others become 0.
    mutating func finishX87(replacing replaced: UInt16 = X87Status.c1, from host: UInt16 = 0) {
        let shift = X87Outlook.shift(of: instruction)
        if shift > 0 { for index in 0..<shift { setTag(ofPhysical: physical(index), 3) } }
        let cleared = UInt32(replaced) | (shift == 0 ? 0 : 7 << 11)
        if cleared != 0 {
            assembler.load(4, .rcx, .memory(Slot.x87Control))
            assembler.arithmetic(4, 4, .register(.rcx), immediate: Int32(bitPattern: ~(cleared << 16)))
            if host != 0 {
                assembler.arithmetic(4, 4, .register(.rax), immediate: Int32(host))
                assembler.shift(4, 4, .register(.rax), by: 16)
                assembler.arithmetic(1, 4, .rcx, .register(.rax))
            }
            let top = Int32(physical(shift))
            if shift != 0, top != 0 { assembler.arithmetic(1, 4, .register(.rcx), immediate: top << 27) }
            assembler.store(4, .memory(Slot.x87Control), .rcx)
        }
        assembler.load(8, .rax, .memory(Slot.page))
        assembler.address(addressWidth, .rax, HostMemory(.rax, Int32(step.pointee.offset)))
        assembler.store(8, .memory(Slot.x87InstructionPointer), .rax)
        if hasX87Selectors {
            assembler.extend(signed: false, from: 2, .rcx, .memory(Slot.codeSelector))
        } else {
            assembler.arithmetic(6, 4, .rcx, .register(.rcx))
        }
        assembler.store(2, .memory(Slot.x87InstructionSelector), .rcx)
    }
}

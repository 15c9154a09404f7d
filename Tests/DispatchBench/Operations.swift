/// The shape of X86's handlers: (core, instruction) to a status.
typealias Handler = @Sendable @convention(c) (UnsafeMutableRawPointer, UnsafeRawPointer) -> UInt32

/// The shape of X86's core: a register file, RIP, flags, position and budget, and one page of memory behind a tag.
struct Core {
    var registers = InlineArray<16, UInt64>(repeating: 0)
    var rip: UInt64 = 0
    var flags: UInt64 = 2
    var position: UInt64 = 0
    var stopAt: UInt64 = 0
    var fault: UInt64 = 0
    var tag: UInt64 = 0x1000
    var limit: UInt64 = 0x2000
    var host: UnsafeMutableRawPointer
}

/// The shape of X86's decoded instruction.
struct Instruction {
    var handler: Handler
    var displacement: UInt64 = 0
    var immediate: UInt64 = 0
    var operands = InlineArray<32, UInt8>(repeating: 0)
    var length: UInt8 = 0
}

extension UnsafeMutableRawPointer {
    @inline(__always) var core: UnsafeMutablePointer<Core> { assumingMemoryBound(to: Core.self) }
}

private let next: UInt32 = 0, faulted: UInt32 = 3

@inline(__always)
private func setFlags(_ core: UnsafeMutablePointer<Core>, _ result: UInt64, _ carries: UInt64) {
    let low = result & 0xFF
    let parity = (0x9669 as UInt64) &>> ((low ^ low &>> 4) & 0xF) & 1
    let top = carries &>> 63
    core.pointee.flags =
        (parity &<< 2) | (result == 0 ? 0x40 : 0) | (result &>> 63) &<< 7 | top | (carries &<< 1 & 0x10) | ((top ^ carries &>> 62 & 1) &<< 11)
}

@inline(__always)
private func binary(_ raw: UnsafeMutableRawPointer, _ d: Int, _ s: Int, _ body: (UInt64, UInt64) -> (UInt64, UInt64)) -> UInt32 {
    let (result, carries) = body(raw.core.pointee.registers[unchecked: d], raw.core.pointee.registers[unchecked: s])
    raw.core.pointee.registers[unchecked: d] = result
    setFlags(raw.core, result, carries)
    return next
}

/// The host address of an access, nil with a fault left behind.
@inline(__always)
private func place(_ raw: UnsafeMutableRawPointer, _ instruction: UnsafeRawPointer, _ base: Int) -> UnsafeMutableRawPointer? {
    let displacement = instruction.assumingMemoryBound(to: Instruction.self).pointee.displacement
    let offset = (raw.core.pointee.registers[unchecked: base] &+ displacement) & 0xFF8 | 0x1000
    guard offset &+ 8 <= raw.core.pointee.limit, offset & ~0xFFF == raw.core.pointee.tag else {
        raw.core.pointee.fault = offset
        return nil
    }
    return raw.core.pointee.host + Int(truncatingIfNeeded: offset & 0xFFF)
}

@inline(__always) func add(_ raw: UnsafeMutableRawPointer, _: UnsafeRawPointer, _ d: Int, _ s: Int) -> UInt32 {
    binary(raw, d, s) { ($0 &+ $1, ($0 & $1) | (($0 | $1) & ~($0 &+ $1))) }
}

@inline(__always) func sub(_ raw: UnsafeMutableRawPointer, _: UnsafeRawPointer, _ d: Int, _ s: Int) -> UInt32 {
    binary(raw, d, s) { ($0 &- $1, (~$0 & $1) | ((~$0 | $1) & ($0 &- $1))) }
}

@inline(__always) func and(_ raw: UnsafeMutableRawPointer, _: UnsafeRawPointer, _ d: Int, _ s: Int) -> UInt32 {
    binary(raw, d, s) { ($0 & $1, 0) }
}

@inline(__always) func or(_ raw: UnsafeMutableRawPointer, _: UnsafeRawPointer, _ d: Int, _ s: Int) -> UInt32 {
    binary(raw, d, s) { ($0 | $1, 0) }
}

@inline(__always) func xor(_ raw: UnsafeMutableRawPointer, _: UnsafeRawPointer, _ d: Int, _ s: Int) -> UInt32 {
    binary(raw, d, s) { ($0 ^ $1, 0) }
}

@inline(__always) func compare(_ raw: UnsafeMutableRawPointer, _: UnsafeRawPointer, _ d: Int, _ s: Int) -> UInt32 {
    let a = raw.core.pointee.registers[unchecked: d], b = raw.core.pointee.registers[unchecked: s]
    setFlags(raw.core, a &- b, (~a & b) | ((~a | b) & (a &- b)))
    return next
}

@inline(__always) func load(_ raw: UnsafeMutableRawPointer, _ instruction: UnsafeRawPointer, _ d: Int, _ s: Int) -> UInt32 {
    guard let place = place(raw, instruction, s) else { return faulted }
    raw.core.pointee.registers[unchecked: d] = place.loadUnaligned(as: UInt64.self)
    return next
}

@inline(__always) func store(_ raw: UnsafeMutableRawPointer, _ instruction: UnsafeRawPointer, _ d: Int, _ s: Int) -> UInt32 {
    guard let place = place(raw, instruction, s) else { return faulted }
    place.storeBytes(of: raw.core.pointee.registers[unchecked: d], as: UInt64.self)
    return next
}

@inline(__always) func shift(_ raw: UnsafeMutableRawPointer, _: UnsafeRawPointer, _ d: Int, _ s: Int) -> UInt32 {
    binary(raw, d, s) { ($0 &<< ($1 & 7), 0) }
}

@inline(__always) func move(_ raw: UnsafeMutableRawPointer, _ instruction: UnsafeRawPointer, _ d: Int, _ s: Int) -> UInt32 {
    raw.core.pointee.registers[unchecked: d] = raw.core.pointee.registers[unchecked: s] &+ UInt64(d * 8 + s)
    return next
}

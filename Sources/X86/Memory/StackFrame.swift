/// A stack that a far transfer pushes on, which need not be the current one yet.
struct TransferStack {
    var segment: Segment
    /// RSP, all of it.
    var pointer: UInt64
    /// The stack belongs to 64-bit mode: flat, 64 bits wide.
    var isWide: Bool
    /// Accesses come from privilege level 3.
    var isUser: Bool
    /// The error code of #SS.
    var errorCode: UInt32 = 0
    /// The descriptor behind `segment` where it was read from a table for this transfer.
    var descriptor: Descriptor?

    var mask: UInt64 { isWide ? .max : segment.rights.big ? 0xFFFF_FFFF : 0xFFFF }
}

/// Room on a stack, found writable in whole before the first push (ruling R10).
struct StackFrame {
    fileprivate let stack: TransferStack
    /// Bytes of an item.
    fileprivate let size: UInt64
    /// The frame's physical place; nil where the stack pointer wraps inside it.
    fileprivate let span: CPU.Span?
    /// Items still to be pushed.
    fileprivate var remaining: UInt64
    /// RSP after the pushes made so far.
    fileprivate(set) var pointer: UInt64
}

extension CPU {
    /// SS:RSP as it is.
    var currentStack: TransferStack {
        TransferStack(
            segment: state.segments[SegmentIndex.ss], pointer: state.gpr[GPR.rsp], isWide: is64Bit, isUser: state.cpl == 3)
    }

    /// Makes sure that `count` items of `size` bytes can be pushed.
    func frame(on stack: TransferStack, count: UInt64, size: UInt64) throws(Fault) -> StackFrame {
        let top = stack.pointer & stack.mask
        let total = count &* size
        var span: Span?
        if top >= total {
            span = try translate(top &- total, count: total, item: size, on: stack)
        } else if top == 0 {
            span = try translate((0 &- total) & stack.mask, count: total, item: size, on: stack)
        } else {
            for item in 0..<count { _ = try translate((top &- total &+ item &* size) & stack.mask, count: size, item: size, on: stack) }
        }
        return StackFrame(stack: stack, size: size, span: span, remaining: count, pointer: stack.pointer)
    }

    /// Pushes an item; the frame has room for it.
    func push(_ value: UInt64, on frame: inout StackFrame) throws(Fault) {
        let mask = frame.stack.mask
        let offset = (frame.pointer &- frame.size) & mask
        frame.remaining &-= 1
        frame.pointer = frame.pointer & ~mask | offset
        if let span = frame.span {
            write(span.part(at: frame.remaining &* frame.size, count: frame.size), value)
        } else {
            write(try translate(offset, count: frame.size, item: frame.size, on: frame.stack), value)
        }
    }

    /// Checks and translates a write of items of `item` bytes to a stack.
    private func translate(_ offset: UInt64, count: UInt64, item: UInt64, on stack: TransferStack) throws(Fault) -> Span {
        let segment = stack.segment
        let linear: UInt64
        if stack.isWide {
            guard isCanonical(offset), isCanonical(offset &+ (count &- 1)) else { throw .stack(stack.errorCode) }
            linear = offset
        } else {
            let last = offset &+ (count &- 1)
            if usesDescriptors, segment.rights.isUnusable || !segment.rights.writable { throw .stack(stack.errorCode) }
            if segment.rights.expandDown {
                let top: UInt64 = segment.rights.big ? 0xFFFF_FFFF : 0xFFFF
                if offset <= UInt64(segment.limit) || last > top { throw .stack(stack.errorCode) }
            } else if last > UInt64(segment.limit) {
                throw .stack(stack.errorCode)
            }
            linear = (segment.base &+ offset) & 0xFFFF_FFFF
        }
        if core.pointee.slowAccess {
            if stack.isUser, checksAlignment, linear & (item &- 1) != 0 { throw .alignment }
            noteDataBreakpoints(linear, count: count, write: true)
        }
        return try translate(linear, count: count, .write, as: stack.isUser ? .user : .supervisor, mask: stack.isWide ? .max : 0xFFFF_FFFF)
    }
}

extension CPU.Span {
    /// The place of some bytes of a span.
    fileprivate func part(at offset: UInt64, count: UInt64) -> CPU.Span {
        if offset &+ count <= firstCount { return CPU.Span(first: first &+ offset, firstCount: count) }
        if offset >= firstCount { return CPU.Span(first: second &+ (offset &- firstCount), firstCount: count) }
        let before = firstCount &- offset
        return CPU.Span(first: first &+ offset, firstCount: before, second: second, secondCount: count &- before)
    }
}

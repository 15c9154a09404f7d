/// The forms of MOV, PUSH and POP that name a segment, control or debug register. The rows of MOV, PUSH and POP ask here when
/// an operand is one; nil: no such form.

/// MOV to and from segment registers (Intel SDM Vol. 2B, MOV).
func segmentMove(for instruction: borrowing Instruction) -> Handler? {
    { _, _ in Retire.unimplemented }
}

/// PUSH of a segment register.
func segmentPush(for instruction: borrowing Instruction) -> Handler? {
    { _, _ in Retire.unimplemented }
}

/// POP of a segment register.
func segmentPop(for instruction: borrowing Instruction) -> Handler? {
    { _, _ in Retire.unimplemented }
}

/// MOV to and from control and debug registers (Intel SDM Vol. 2B, MOV).
func controlMove(for instruction: borrowing Instruction) -> Handler? {
    { _, _ in Retire.unimplemented }
}

/// The forms of MOV that name a control or debug register; the row of MOV asks here.

/// MOV to and from control and debug registers (Intel SDM Vol. 2B, MOV).
func controlMove(for instruction: borrowing Instruction) -> Handler? {
    { _, _ in Retire.unimplemented }
}

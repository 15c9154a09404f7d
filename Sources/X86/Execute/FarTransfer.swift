/// The handler of a far JMP, CALL or RET of this form (Intel SDM Vol. 2A CALL, JMP; Vol. 2B RET: far transfers).
func farTransfer(for instruction: borrowing Instruction) -> Handler {
    { _, _ in Retire.unimplemented }
}

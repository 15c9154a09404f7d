import CZydis

/// RDRAND (Intel SDM Vol. 1 7.3.17): numbers from the manifest's seed, and always one at hand (contract 2).
let randomNumberRows: [InstructionRow] = [
    InstructionRow(
        ZYDIS_MNEMONIC_RDRAND, .rdrand,
        w: { rdrand($0.cpu, $1.instruction, UInt16.self) }, d: { rdrand($0.cpu, $1.instruction, UInt32.self) },
        q: { rdrand($0.cpu, $1.instruction, UInt64.self) })
]

private func rdrand<W: Width>(_ cpu: CPU, _ instruction: InstructionReference, _: W.Type) -> Status {
    let number = cpu.state.entropy.next() ^ (PlantedFault.hostEntropy.isPlanted ? PlantedFault.hostNumber : 0)
    cpu.setRegister(instruction.pointee.operands[unchecked: 0].register, W(truncatingIfNeeded: number))
    cpu.setStatus(Flag.cf)
    return Retire.next
}

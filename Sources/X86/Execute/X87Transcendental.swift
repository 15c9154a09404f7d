import CZydis

/// x87 transcendentals, by algorithms of our own (Intel SDM Vol. 1 5.2.4; ruling R13).
let x87TranscendentalRows: [InstructionRow] = []

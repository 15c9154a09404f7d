import CZydis

/// Packed integers in XMM registers, SSE2 to SSE4.1 (Intel SDM Vol. 1 5.6.3 to 5.10).
let sseIntegerRows: [InstructionRow] = []

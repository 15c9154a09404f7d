import CZydis

/// MMX, and SSE's additions to it (Intel SDM Vol. 1 5.4, 5.5.3).
let mmxRows: [InstructionRow] = []

import CZydis

/// Moves, shuffles and state of SSE to SSE4.1 (Intel SDM Vol. 1 5.5 to 5.10).
let sseMoveRows: [InstructionRow] = []

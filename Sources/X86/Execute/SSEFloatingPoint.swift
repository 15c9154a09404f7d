import CZydis

/// SSE to SSE4.1 floating-point arithmetic, comparison and conversion (Intel SDM Vol. 1 5.5, 5.6, 5.7, 5.10).
let sseFloatingPointRows: [InstructionRow] = []

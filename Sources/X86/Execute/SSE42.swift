import CZydis

/// SSE4.2's string comparisons and CRC32, and POPCNT (Intel SDM Vol. 1 5.11, 5.1.7).
let sse42Rows: [InstructionRow] = []

#pragma once

#include <stddef.h>

/// Maps `count` bytes of zeroed memory twice: writable, and readable and executable. Returns 0, and the addresses in `writable` and
/// `executable`; -1 where the host gives no such memory.
int host_map_code(size_t count, void **writable, void **executable);

/// Whether the host executes SSSE3 and SSE4.1.
static inline _Bool host_has_sse41(void) { return __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1"); }

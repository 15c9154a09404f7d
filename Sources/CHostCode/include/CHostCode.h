#pragma once

// What <sys/mman.h> declares for GNU's sake only, and Swift's Glibc module therefore leaves out (memfd_create(2)).
int memfd_create(const char *name, unsigned int flags);

/// Whether the host executes SSSE3 and SSE4.1.
static inline _Bool host_has_sse41(void) { return __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1"); }

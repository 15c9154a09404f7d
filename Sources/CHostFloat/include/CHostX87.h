#pragma once
#include <stdint.h>
#include <string.h>

// x87 division and square root by the host's own unit: exact and rounded once in 80 bits, so that all hosts agree. The unit's
// control word is the one that a thread begins with, 37FH (System V ABI): 64 bits, to nearest, every exception masked.

typedef struct {
    uint64_t significand;
    uint16_t signExponent;
} HostX87Register;

typedef struct {
    HostX87Register value;
    // The status word: of it C1 belongs to this operation, exception flags may be older.
    uint16_t status;
} HostX87Result;

#define HOST_X87_INLINE static inline __attribute__((always_inline))

HOST_X87_INLINE long double host_x87_load(HostX87Register value) {
    long double number;
    memcpy(&number, &value, 10);
    return number;
}

HOST_X87_INLINE HostX87Result host_x87_result(long double number, uint16_t status) {
    HostX87Result result = {{0, 0}, status};
    memcpy(&result.value, &number, 10);
    return result;
}

// a / b.
HOST_X87_INLINE HostX87Result host_x87_divide(HostX87Register a, HostX87Register b) {
    long double quotient;
    uint16_t status;
    __asm__ volatile("fdiv %%st(1), %%st\n\tfnstsw %%ax"
                     : "=t"(quotient), "=a"(status)
                     : "0"(host_x87_load(a)), "u"(host_x87_load(b)));
    return host_x87_result(quotient, status);
}

HOST_X87_INLINE HostX87Result host_x87_square_root(HostX87Register a) {
    long double root;
    uint16_t status;
    __asm__ volatile("fsqrt\n\tfnstsw %%ax" : "=t"(root), "=a"(status) : "0"(host_x87_load(a)));
    return host_x87_result(root, status);
}

#pragma once
#include <stdint.h>

#include "CHostX87.h"

// SSE and SSE2 arithmetic by the host's own instructions: what IEEE 754 and the manual define in every bit, so that all hosts
// agree. Each function runs one instruction under the guest's rounding, DAZ and FTZ with every exception masked, and tells which
// exceptions it signaled. Approximations, and all that SSE2 does not have, are not here.

// 128 bits, the low half first.
typedef uint64_t HostVector __attribute__((ext_vector_type(2)));

// MXCSR (Intel SDM Vol. 1 10.2.3).
enum {
    HOST_MXCSR_FLAGS = 0x003f,
    HOST_MXCSR_CONTROL = 0xffc0,
    HOST_MXCSR_MASKS = 0x1f80,
    HOST_MXCSR_UNMASKABLE = 0xe040, // rounding control, FTZ, DAZ
};

#define HOST_INLINE static inline __attribute__((always_inline))

// Begins an operation under the guest's `mxcsr`. The host's MXCSR is loaded only if its control bits differ or if it holds a flag
// that `mxcsr` lacks: flags that the guest has already say nothing new. Returns what to give to `host_float_leave`.
HOST_INLINE uint32_t host_float_enter(uint32_t mxcsr) {
    uint32_t before;
    __asm__ volatile("stmxcsr %0" : "=m"(before));
    uint32_t wanted = (mxcsr & HOST_MXCSR_UNMASKABLE) | HOST_MXCSR_MASKS;
    if (__builtin_expect(((before ^ wanted) & HOST_MXCSR_CONTROL) | (before & HOST_MXCSR_FLAGS & ~mxcsr), 0))
        __asm__ volatile("ldmxcsr %0" ::"m"(wanted));
    return before;
}

// Ends it: puts the host's control bits back and returns the flags: those signaled, and perhaps some that the guest has already.
HOST_INLINE uint32_t host_float_leave(uint32_t before) {
    uint32_t after;
    __asm__ volatile("stmxcsr %0" : "=m"(after));
    if (__builtin_expect((before ^ after) & HOST_MXCSR_CONTROL, 0)) __asm__ volatile("ldmxcsr %0" ::"m"(before));
    return after & HOST_MXCSR_FLAGS;
}

// Operations on a destination and a source register. Scalar ones keep the rest of the destination.
typedef enum {
    HOST_ADDPS, HOST_ADDPD, HOST_ADDSS, HOST_ADDSD,
    HOST_SUBPS, HOST_SUBPD, HOST_SUBSS, HOST_SUBSD,
    HOST_MULPS, HOST_MULPD, HOST_MULSS, HOST_MULSD,
    HOST_DIVPS, HOST_DIVPD, HOST_DIVSS, HOST_DIVSD,
    HOST_MINPS, HOST_MINPD, HOST_MINSS, HOST_MINSD,
    HOST_MAXPS, HOST_MAXPD, HOST_MAXSS, HOST_MAXSD,
    HOST_SQRTPS, HOST_SQRTPD, HOST_SQRTSS, HOST_SQRTSD,
    HOST_CVTPS2PD, HOST_CVTPD2PS, HOST_CVTSS2SD, HOST_CVTSD2SS,
    HOST_CVTDQ2PS, HOST_CVTDQ2PD, HOST_CVTPS2DQ, HOST_CVTTPS2DQ, HOST_CVTPD2DQ, HOST_CVTTPD2DQ,
} HostFloatOperation;

// `*flags` is replaced by what `host_float_leave` tells. With a constant operation this is one instruction between the checks.
HOST_INLINE HostVector host_float(HostFloatOperation operation, HostVector a, HostVector b, uint32_t mxcsr, uint32_t *flags) {
    uint32_t before = host_float_enter(mxcsr);
#define HOST_CASE(name, instruction) \
    case name: __asm__ volatile(instruction " %1, %0" : "+x"(a) : "x"(b)); break;
    switch (operation) {
        HOST_CASE(HOST_ADDPS, "addps") HOST_CASE(HOST_ADDPD, "addpd") HOST_CASE(HOST_ADDSS, "addss") HOST_CASE(HOST_ADDSD, "addsd")
        HOST_CASE(HOST_SUBPS, "subps") HOST_CASE(HOST_SUBPD, "subpd") HOST_CASE(HOST_SUBSS, "subss") HOST_CASE(HOST_SUBSD, "subsd")
        HOST_CASE(HOST_MULPS, "mulps") HOST_CASE(HOST_MULPD, "mulpd") HOST_CASE(HOST_MULSS, "mulss") HOST_CASE(HOST_MULSD, "mulsd")
        HOST_CASE(HOST_DIVPS, "divps") HOST_CASE(HOST_DIVPD, "divpd") HOST_CASE(HOST_DIVSS, "divss") HOST_CASE(HOST_DIVSD, "divsd")
        HOST_CASE(HOST_MINPS, "minps") HOST_CASE(HOST_MINPD, "minpd") HOST_CASE(HOST_MINSS, "minss") HOST_CASE(HOST_MINSD, "minsd")
        HOST_CASE(HOST_MAXPS, "maxps") HOST_CASE(HOST_MAXPD, "maxpd") HOST_CASE(HOST_MAXSS, "maxss") HOST_CASE(HOST_MAXSD, "maxsd")
        HOST_CASE(HOST_SQRTPS, "sqrtps") HOST_CASE(HOST_SQRTPD, "sqrtpd")
        HOST_CASE(HOST_SQRTSS, "sqrtss") HOST_CASE(HOST_SQRTSD, "sqrtsd")
        HOST_CASE(HOST_CVTPS2PD, "cvtps2pd") HOST_CASE(HOST_CVTPD2PS, "cvtpd2ps")
        HOST_CASE(HOST_CVTSS2SD, "cvtss2sd") HOST_CASE(HOST_CVTSD2SS, "cvtsd2ss")
        HOST_CASE(HOST_CVTDQ2PS, "cvtdq2ps") HOST_CASE(HOST_CVTDQ2PD, "cvtdq2pd")
        HOST_CASE(HOST_CVTPS2DQ, "cvtps2dq") HOST_CASE(HOST_CVTTPS2DQ, "cvttps2dq")
        HOST_CASE(HOST_CVTPD2DQ, "cvtpd2dq") HOST_CASE(HOST_CVTTPD2DQ, "cvttpd2dq")
    }
#undef HOST_CASE
    *flags = host_float_leave(before);
    return a;
}

typedef enum { HOST_PS, HOST_PD, HOST_SS, HOST_SD } HostFloatFormat;

// CMPPS, CMPPD, CMPSS and CMPSD with the low three bits of `predicate`.
HOST_INLINE HostVector host_float_compare(
    HostFloatFormat format, uint8_t predicate, HostVector a, HostVector b, uint32_t mxcsr, uint32_t *flags) {
    uint32_t before = host_float_enter(mxcsr);
#define HOST_CASE(number, suffix) \
    case number: __asm__ volatile("cmp" suffix " $" #number ", %1, %0" : "+x"(a) : "x"(b)); break;
#define HOST_PREDICATES(suffix) \
    switch (predicate & 7) { \
        HOST_CASE(0, suffix) HOST_CASE(1, suffix) HOST_CASE(2, suffix) HOST_CASE(3, suffix) \
        HOST_CASE(4, suffix) HOST_CASE(5, suffix) HOST_CASE(6, suffix) HOST_CASE(7, suffix) \
    }
    switch (format) {
    case HOST_PS: HOST_PREDICATES("ps") break;
    case HOST_PD: HOST_PREDICATES("pd") break;
    case HOST_SS: HOST_PREDICATES("ss") break;
    case HOST_SD: HOST_PREDICATES("sd") break;
    }
#undef HOST_PREDICATES
#undef HOST_CASE
    *flags = host_float_leave(before);
    return a;
}

typedef enum { HOST_COMISS, HOST_UCOMISS, HOST_COMISD, HOST_UCOMISD } HostFloatOrder;

// CF, PF and ZF as RFLAGS holds them.
HOST_INLINE uint32_t host_float_order(HostFloatOrder order, uint64_t a, uint64_t b, uint32_t mxcsr, uint32_t *flags) {
    HostVector first = {a, 0}, second = {b, 0};
    int carry = 0, parity = 0, zero = 0;
    uint32_t before = host_float_enter(mxcsr);
#define HOST_CASE(name, instruction) \
    case name: \
        __asm__ volatile(instruction " %4, %3" : "=@ccc"(carry), "=@ccp"(parity), "=@ccz"(zero) : "x"(first), "x"(second)); \
        break;
    switch (order) {
        HOST_CASE(HOST_COMISS, "comiss") HOST_CASE(HOST_UCOMISS, "ucomiss")
        HOST_CASE(HOST_COMISD, "comisd") HOST_CASE(HOST_UCOMISD, "ucomisd")
    }
#undef HOST_CASE
    *flags = host_float_leave(before);
    return (uint32_t)carry | (uint32_t)parity << 2 | (uint32_t)zero << 6;
}

typedef enum {
    HOST_CVTSS2SI32, HOST_CVTTSS2SI32, HOST_CVTSD2SI32, HOST_CVTTSD2SI32,
    HOST_CVTSS2SI64, HOST_CVTTSS2SI64, HOST_CVTSD2SI64, HOST_CVTTSD2SI64,
} HostFloatToInteger;

// A scalar to a signed integer; 32-bit results are zero-extended.
HOST_INLINE uint64_t host_float_to_integer(HostFloatToInteger operation, uint64_t value, uint32_t mxcsr, uint32_t *flags) {
    HostVector source = {value, 0};
    uint64_t wide = 0;
    uint32_t narrow = 0;
    uint32_t before = host_float_enter(mxcsr);
#define HOST_CASE(name, instruction, result) \
    case name: __asm__ volatile(instruction " %1, %0" : "=r"(result) : "x"(source)); break;
    switch (operation) {
        HOST_CASE(HOST_CVTSS2SI32, "cvtss2si", narrow) HOST_CASE(HOST_CVTTSS2SI32, "cvttss2si", narrow)
        HOST_CASE(HOST_CVTSD2SI32, "cvtsd2si", narrow) HOST_CASE(HOST_CVTTSD2SI32, "cvttsd2si", narrow)
        HOST_CASE(HOST_CVTSS2SI64, "cvtss2si", wide) HOST_CASE(HOST_CVTTSS2SI64, "cvttss2si", wide)
        HOST_CASE(HOST_CVTSD2SI64, "cvtsd2si", wide) HOST_CASE(HOST_CVTTSD2SI64, "cvttsd2si", wide)
    }
#undef HOST_CASE
    *flags = host_float_leave(before);
    return wide | narrow;
}

typedef enum { HOST_CVTSI2SS32, HOST_CVTSI2SD32, HOST_CVTSI2SS64, HOST_CVTSI2SD64 } HostFloatFromInteger;

// A signed integer to a scalar, in the low part of `a`.
HOST_INLINE HostVector host_float_from_integer(
    HostFloatFromInteger operation, HostVector a, uint64_t value, uint32_t mxcsr, uint32_t *flags) {
    uint32_t before = host_float_enter(mxcsr);
#define HOST_CASE(name, instruction, source) \
    case name: __asm__ volatile(instruction " %1, %0" : "+x"(a) : "r"(source)); break;
    switch (operation) {
        HOST_CASE(HOST_CVTSI2SS32, "cvtsi2ssl", (uint32_t)value) HOST_CASE(HOST_CVTSI2SD32, "cvtsi2sdl", (uint32_t)value)
        HOST_CASE(HOST_CVTSI2SS64, "cvtsi2ssq", value) HOST_CASE(HOST_CVTSI2SD64, "cvtsi2sdq", value)
    }
#undef HOST_CASE
    *flags = host_float_leave(before);
    return a;
}

typedef enum { HOST_ADD, HOST_SUBTRACT, HOST_MULTIPLY, HOST_DIVIDE, HOST_ROUND } HostFloatArithmetic;

// What an operation on two finite numbers would give if exponents had no bounds: the x87 rounds to the precision of single or double
// but keeps a wider exponent. `rounding` is MXCSR's RC field; HOST_ROUND takes a double in `a` alone.
typedef struct {
    int32_t exponent; // of the leading bit; meaningless for 0
    uint8_t isZero, isInexact;
} HostFloatUnbounded;

HOST_INLINE HostFloatUnbounded host_float_unbounded(
    HostFloatArithmetic operation, double a, double b, int isDouble, uint32_t rounding) {
    uint16_t saved, control = (uint16_t)(0x007f | (isDouble ? 0x0200 : 0) | (rounding & 3) << 10), status;
    struct {
        uint64_t significand;
        uint16_t signExponent;
        uint16_t padding[3];
    } result;
#define HOST_CASE(name, instruction) \
    case name: \
        __asm__ volatile("fnstcw %2\n\tfnclex\n\tfldcw %3\n\tfldl %4\n\tfldl %5\n\t" instruction \
                         "\n\tfnstsw %1\n\tfstpt %0\n\tfnclex\n\tfldcw %2" \
                         : "=m"(result), "=m"(status), "=m"(saved) : "m"(control), "m"(a), "m"(b) : "st", "st(1)"); \
        break;
    switch (operation) {
        HOST_CASE(HOST_ADD, "faddp") HOST_CASE(HOST_SUBTRACT, "fsubrp") HOST_CASE(HOST_MULTIPLY, "fmulp")
        HOST_CASE(HOST_DIVIDE, "fdivrp")
    case HOST_ROUND:
        b = 1;
        __asm__ volatile("fnstcw %2\n\tfnclex\n\tfldcw %3\n\tfldl %4\n\tfldl %5\n\tfmulp\n\tfnstsw %1\n\tfstpt %0\n\tfnclex\n\tfldcw %2"
                         : "=m"(result), "=m"(status), "=m"(saved) : "m"(control), "m"(a), "m"(b) : "st", "st(1)");
        break;
    }
#undef HOST_CASE
    HostFloatUnbounded unbounded = {(int32_t)(result.signExponent & 0x7fff) - 16383, result.significand == 0, (status & 0x20) != 0};
    return unbounded;
}

#pragma once
#include <stdint.h>

// The host's CPU as an oracle: a child process runs the bytes of one trial after another at user level, in 64-, 32-
// and 16-bit code segments, and tells what became of registers, flags, memory and x87/SSE state.
//
// The sandbox, in linear addresses. In 16-bit trials the segments have base 10000H, so that offsets are 16 bits wide.
//
//     10000H  data, two pages             15000H  stack, one page
//     12000H  nothing                     16000H  nothing
//     13000H  read-only data, one page    18000H  code, one page, the rest of it INT3
//     14000H  nothing                     19000H  nothing

enum {
    HOST_CPU_BASE = 0x10000,
    HOST_CPU_DATA = 0x10000,
    HOST_CPU_READ_ONLY = 0x13000,
    HOST_CPU_STACK = 0x15000,
    HOST_CPU_CODE = 0x18000,
    HOST_CPU_PAGE = 0x1000,

    // Memory that a trial sees, without the code: two data pages, the read-only page, the stack page, in this order.
    HOST_CPU_MEMORY_SIZE = 4 * HOST_CPU_PAGE,

    HOST_CPU_BATCH = 512,
    HOST_CPU_CODE_LIMIT = 64,
    HOST_CPU_PATCH_LIMIT = 8,
    HOST_CPU_PATCH_BYTES = 1024,
    HOST_CPU_CHANGE_LIMIT = 640,
    HOST_CPU_DESCRIPTOR_COUNT = 10,
    HOST_CPU_FX_SIZE = 512,
};

// Segment selectors of the sandbox: those of the kernel's GDT for user code, and the entries of the child's LDT.
enum {
    HOST_CPU_SELECTOR_GDT_CODE32 = 0x23,
    HOST_CPU_SELECTOR_GDT_DATA = 0x2b,
    HOST_CPU_SELECTOR_GDT_CODE64 = 0x33,
    HOST_CPU_SELECTOR_CODE32 = 0x07,      // base 0, limit FFFFFFFFH
    HOST_CPU_SELECTOR_DATA32 = 0x0f,      // base 0, limit FFFFFFFFH, B = 1
    HOST_CPU_SELECTOR_CODE16 = 0x17,      // base 10000H, limit FFFFH
    HOST_CPU_SELECTOR_DATA16 = 0x1f,      // base 10000H, limit FFFFH, B = 0
    HOST_CPU_SELECTOR_FS = 0x27,          // base 10800H, limit FFFFH
    HOST_CPU_SELECTOR_GS = 0x2f,          // base 11000H, limit 0FFFH
    HOST_CPU_SELECTOR_READ_ONLY = 0x37,   // base 10000H, limit 1FFFH, not writable
    HOST_CPU_SELECTOR_EXPAND_DOWN = 0x3f, // base 10000H, limit 0FFFH, expand-down, B = 0
    HOST_CPU_SELECTOR_EXECUTE_ONLY = 0x47,// base 10000H, limit FFFFH, code, not readable
    HOST_CPU_SELECTOR_NOT_PRESENT = 0x4f, // as DATA16, not present
};

// FS and GS bases in 64-bit trials (null selectors).
enum { HOST_CPU_FS_BASE = 0x10800, HOST_CPU_GS_BASE = 0x11000 };

typedef struct {
    uint64_t gpr[16]; // RAX RCX RDX RBX RSP RBP RSI RDI R8...R15
    uint64_t rip;     // an offset in CS
    uint64_t rflags;
    uint16_t es, cs, ss, ds, fs, gs;
    uint16_t reserved[2];
} HostCPURegisters;

// Bytes that a trial finds at a linear address of data, read-only page or stack.
typedef struct {
    uint32_t address;
    uint16_t start; // in patchBytes
    uint16_t length;
} HostCPUPatch;

typedef struct {
    uint32_t mode; // 64, 32 or 16
    uint32_t codeLength;
    uint32_t codeAddress; // linear, in the code page
    uint32_t patchCount;
    uint64_t background; // seed of the memory's contents; 0: all zero
    HostCPURegisters registers;
    HostCPUPatch patches[HOST_CPU_PATCH_LIMIT];
    uint8_t code[HOST_CPU_CODE_LIMIT];
    uint8_t patchBytes[HOST_CPU_PATCH_BYTES];
    uint32_t usesFX; // not 0: fx is loaded before and stored after
    uint32_t reserved;
    uint8_t fx[HOST_CPU_FX_SIZE]; // FXSAVE image
} HostCPUTrial;

// A byte of memory that is not what it was before the trial.
typedef struct {
    uint32_t address;
    uint32_t value;
} HostCPUChange;

enum {
    HOST_CPU_RETIRED = 0,   // reached an INT3 of the code page behind the trial's bytes; rip is its offset
    HOST_CPU_FAULTED = 1,   // an exception: vector, errorCode, faultAddress
    HOST_CPU_TIMED_OUT = 2, // used more than 20 ms of CPU time
    HOST_CPU_DIED = 3,      // the child ended; signal says by what (0: it exited)
};

typedef struct {
    uint32_t ending;
    uint32_t signal;
    uint32_t vector;
    uint32_t changeCount; // may exceed the limit: then only the first are listed
    uint64_t errorCode;
    uint64_t faultAddress; // CR2 of a page fault
    HostCPURegisters registers;
    HostCPUChange changes[HOST_CPU_CHANGE_LIMIT];
    uint8_t fx[HOST_CPU_FX_SIZE];
} HostCPUOutcome;

typedef struct HostCPUSandbox HostCPUSandbox;

// Starts a child. NULL if that failed: *error is an errno.
HostCPUSandbox *host_cpu_open(int *error);
void host_cpu_close(HostCPUSandbox *sandbox);

// Whether the kernel grants LDT segments; without them only 64-bit trials run.
int host_cpu_has_segments(const HostCPUSandbox *sandbox);
// The child's LDT as the processor sees it, HOST_CPU_DESCRIPTOR_COUNT descriptors.
void host_cpu_descriptors(const HostCPUSandbox *sandbox, uint64_t *descriptors);

HostCPUTrial *host_cpu_trials(HostCPUSandbox *sandbox);
const HostCPUOutcome *host_cpu_outcomes(const HostCPUSandbox *sandbox);

// Runs the first `count` trials (at most HOST_CPU_BATCH). A child that died is started again. 0, or an errno.
int host_cpu_run(HostCPUSandbox *sandbox, uint32_t count);

// Whether CPUID says GenuineIntel.
int host_cpu_is_intel(void);

// What memory holds before patches: HOST_CPU_MEMORY_SIZE bytes.
void host_cpu_background(uint64_t seed, uint8_t *image);

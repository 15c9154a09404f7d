#pragma once
#include "CHostCPU.h"

// Memory that parent and child share.
typedef struct {
    uint32_t count;
    volatile uint32_t current; // the trial being run; `count` when the batch is done
    uint32_t hasSegments;
    uint64_t descriptors[HOST_CPU_DESCRIPTOR_COUNT];
    HostCPUTrial trials[HOST_CPU_BATCH];
    HostCPUOutcome outcomes[HOST_CPU_BATCH];
} HostCPUMailbox;

// The child's whole life: never returns. `channel` carries one byte a batch in each direction.
void host_cpu_child(HostCPUMailbox *mailbox, int channel) __attribute__((noreturn));

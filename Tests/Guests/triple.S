// A triple fault (Intel SDM Vol. 3A 6.15, "Interrupt 8"): no exception can be delivered through an empty IDT.
//
// Prints `tripling` and shuts down.

#include "Kernel.h"

KERNEL triple, "triple"
    call kernel_say
    .asciz "tripling\n"
    lidt AT(empty)
    ud2
empty:
    .word 0
    .long 0
END_KERNEL

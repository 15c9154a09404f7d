// An endless loop that retires no instruction: the handler of #GP begins with an instruction that raises #GP. Each delivery is a
// step (ruling R1), so the position goes on all the same. The stack is a 16-bit one of 64 KiB, round which the frames of
// 16 bytes go for ever.
//
// Prints `looping` and never ends.

#include "Kernel.h"

#define RING FREE_SELECTOR

KERNEL faultloop, "faultloop"
    call kernel_say
    .asciz "looping\n"
    SET_DESCRIPTOR(RING, 0x10000, 0xffff, 0x93, 0)
    SET_VECTOR(13, loop, 0x8e)
    movl $RING, %eax
    movl %eax, %ss
    xorl %esp, %esp
    xorl %eax, %eax
loop:
    movl %eax, %ss
END_KERNEL

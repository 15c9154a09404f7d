// Each exception that a guest can make outside of paging: its vector, error code and saved EIP (Intel SDM Vol. 3A chapter 6),
// and that a faulting instruction has changed nothing.

#include "Kernel.h"

#define ABSENT_DATA 0x48
#define EXECUTE_ONLY 0x50
#define SMALL 0x58 // data, offsets 0 to FFFH
#define DOWN 0x60 // expand-down data, offsets from 1000H up
#define READ_ONLY 0x68
#define ABSENT_CODE 0x70
#define ABSENT_GATE 0x78
#define TASK2 0x80
#define USER_SMALL 0x8b
#define CODE1 0x91 // ring 1
#define DATA1 0x99
#define GATE1 0xa0 // call gate to ring 1, open to ring 3
#define SMALL_CODE 0xa8
#define LDT 0xb0
#define ABSENT_LDT 0xb8
#define ABSENT_TASK 0xc0
#define ABSENT_DATA1 0xc9
#define BEYOND 0x300

#define TSS2 0xa100
#define PAGE_DIRECTORY 0x200000
#define PAGE_TABLE 0x201000

KERNEL faults, "faults"
    SET_DESCRIPTOR(ABSENT_DATA, 0, 0xfffff, 0x13, 0xc)
    SET_DESCRIPTOR(EXECUTE_ONLY, 0, 0xfffff, 0x99, 0xc)
    SET_DESCRIPTOR(SMALL, 0, 0xfff, 0x93, 0x4)
    SET_DESCRIPTOR(DOWN, 0, 0xfff, 0x97, 0x4)
    SET_DESCRIPTOR(READ_ONLY, 0, 0xfffff, 0x91, 0xc)
    SET_DESCRIPTOR(ABSENT_CODE, 0, 0xfffff, 0x1b, 0xc)
    SET_GATE(ABSENT_GATE, CODE, 0, 0x0c, 0)
    SET_DESCRIPTOR(TASK2, TSS2, 0x67, 0x89, 0)
    SET_DESCRIPTOR(USER_SMALL, 0, 0xfff, 0xf3, 0x4)
    SET_DESCRIPTOR(CODE1, 0, 0xfffff, 0xbb, 0xc)
    SET_DESCRIPTOR(DATA1, 0, 0xfffff, 0xb3, 0xc)
    SET_GATE(GATE1, CODE1, 0, 0xec, 0)
    SET_DESCRIPTOR(SMALL_CODE, 0, 0xfff, 0x9b, 0x4)
    SET_DESCRIPTOR(LDT, 0xc000, 0x7, 0x82, 0)
    SET_DESCRIPTOR(ABSENT_LDT, 0xc000, 0x7, 0x02, 0)
    SET_DESCRIPTOR(ABSENT_TASK, TSS2, 0x67, 0x09, 0)
    SET_DESCRIPTOR(ABSENT_DATA1, 0, 0xfffff, 0x33, 0xc)
    movl %cr0, %eax
    andl $~0x2c, %eax
    orl $0x20, %eax // NE
    movl %eax, %cr0

    GROUP "divide"
    movl $0x11111111, %eax
    movl $0x22222222, %edx
    xorl %ecx, %ecx
    FAULT 0, 0, "DIV by 0", divl %ecx
    EXPECT %eax, $0x11111111, "EAX after a failed DIV"
    EXPECT %edx, $0x22222222, "EDX after a failed DIV"
    movl $1, %ecx
    FAULT 0, 0, "DIV overflow", divl %ecx
    movl $0x80000000, %eax
    cltd
    movl $-1, %ecx
    FAULT 0, 0, "IDIV overflow", idivl %ecx
    movl $0x8000, %eax
    FAULT 0, 0, "IDIV byte overflow", idivb %cl
    FAULT 0, 0, "AAM 0", aam $0

    GROUP "traps"
    CATCH 2f
    int3
1:  nop
2:  EXPECT_FAULT 3, 0, 1b, "INT3"
    CATCH 2f
    .byte 0xcd, 3
1:  nop
2:  EXPECT_FAULT 3, 0, 1b, "INT 3"
    CATCH 2f
    movb $0x7f, %al
    incb %al
    into
1:  nop
2:  EXPECT_FAULT 4, 0, 1b, "INTO"
    CATCH 2f
    xorl %eax, %eax
    into
2:  EXPECT_NO_FAULT "INTO without overflow"
    CATCH 2f
    int $0x31
1:  nop
2:  EXPECT_FAULT 0x31, 0, 1b, "INT 31H"
    CATCH 2f
    .byte 0xf1
1:  nop
2:  EXPECT_FAULT 1, 0, 1b, "INT1", EXPECT_NOT_QEMU // QEMU: #UD

    GROUP "bound"
    movl $10, SCRATCH
    movl $20, SCRATCH + 4
    movl $9, %eax
    FAULT 5, 0, "below", .byte 0x62, 0x05, SCRATCH & 0xff, SCRATCH >> 8, 0, 0
    movl $21, %eax
    FAULT 5, 0, "above", .byte 0x62, 0x05, SCRATCH & 0xff, SCRATCH >> 8, 0, 0
    movl $20, %eax
    CATCH 2f
    .byte 0x62, 0x05, SCRATCH & 0xff, SCRATCH >> 8, 0, 0
2:  EXPECT_NO_FAULT "inside"

    GROUP "undefined"
    FAULT 6, 0, "UD2", ud2
    FAULT 6, 0, "LOCK with a register", .byte 0xf0, 0x01, 0xc0
    FAULT_NOT_QEMU 6, 0, "LOCK MOV", .byte 0xf0, 0x89, 0x00
    FAULT 6, 0, "MOV CS", .byte 0x8e, 0xc8
    FAULT 6, 0, "MOV from segment 6", .byte 0x8c, 0xf0
    FAULT 6, 0, "LEA with a register", .byte 0x8d, 0xc0
    FAULT 6, 0, "MOV CR1", .byte 0x0f, 0x20, 0xc8
    FAULT 6, 0, "far JMP with a register", .byte 0xff, 0xe8
    FAULT 6, 0, "LES with a register", .byte 0xc4, 0xc0
    FAULT 6, 0, "BOUND with a register", .byte 0x62, 0xc0
    FAULT 6, 0, "FF /7", .byte 0xff, 0xf8
    FAULT 6, 0, "CMPXCHG8B with a register", .byte 0x0f, 0xc7, 0xc8

    GROUP "length"
    CATCH 2f
    .fill 14, 1, 0x3e
    nop
2:  EXPECT_NO_FAULT "15 bytes"
    CATCH 2f
1:  .fill 15, 1, 0x3e
    nop
2:  EXPECT_FAULT 13, 0, 1b, "16 bytes"

    GROUP "no floating point unit"
    movl %cr0, %eax
    orl $8, %eax
    movl %eax, %cr0
    FAULT 7, 0, "FNINIT with TS", fninit
    CATCH 2f
    fwait
2:  EXPECT_NO_FAULT "FWAIT with TS"
    orl $2, %eax
    movl %eax, %cr0
    FAULT 7, 0, "FWAIT with TS and MP", fwait
    andl $~0xa, %eax
    orl $4, %eax
    movl %eax, %cr0
    FAULT 7, 0, "FLD1 with EM", fld1
    clts
    movl %cr0, %eax
    andl $~4, %eax
    movl %eax, %cr0

    GROUP "floating point error"
    fninit
    movw $0x037b, SCRATCH // zero divide not masked
    fldcw SCRATCH
    movl $0, SCRATCH
    fld1
    fdivs SCRATCH
    FAULT 16, 0, "FWAIT", fwait
    FAULT_NOT_QEMU 16, 0, "FLD1", fld1 // QEMU looks for pending errors in FWAIT alone
    CATCH 2f
    fnstsw %ax
    fnclex
    fwait
2:  EXPECT_NO_FAULT "FNSTSW, FNCLEX"
    andl $0x80ff, %eax
    EXPECT %eax, $0x8084, "status"
    fninit

    GROUP "segment loads"
    movl $ABSENT_DATA, %eax
    FAULT 11, ABSENT_DATA, "not present", movl %eax, %ds
    FAULT 12, ABSENT_DATA, "SS not present", movl %eax, %ss
    movl $EXECUTE_ONLY, %eax
    FAULT 13, EXECUTE_ONLY, "execute only", movl %eax, %es
    movl $READ_ONLY, %eax
    FAULT 13, READ_ONLY, "SS read only", movl %eax, %ss
    movl $TASK, %eax
    FAULT 13, TASK, "system descriptor", movl %eax, %fs
    movl $BEYOND, %eax
    FAULT 13, BEYOND, "beyond the limit", movl %eax, %gs
    xorl %eax, %eax
    lldt %ax
    movl $BEYOND + 4, %eax
    FAULT 13, BEYOND + 4, "no LDT", movl %eax, %gs
    movl $BEYOND + 3, %eax
    FAULT 13, BEYOND, "RPL is not in the error code", movl %eax, %gs
    xorl %eax, %eax
    FAULT 13, 0, "SS null", movl %eax, %ss
    movl $DATA + 3, %eax
    FAULT 13, DATA, "SS with RPL 3", movl %eax, %ss
    movl $USER_DATA, %eax
    FAULT 13, USER_DATA - 3, "SS with DPL 3", movl %eax, %ss
    movl $DATA, %ecx
    USER_FAULT 13, DATA, "ring 0 data in ring 3", movl %ecx, %es
    movl $SCRATCH, %ebx
    movl $0x11223344, (%ebx)
    movl $ABSENT_DATA, 4(%ebx)
    FAULT 11, ABSENT_DATA, "LES", lesl (%ebx), %ebx
    EXPECT %ebx, $SCRATCH, "LES kept its register"
    pushl $BEYOND
    movl %esp, %ecx
    FAULT 13, BEYOND, "POP ES", popl %es
    EXPECT RESUME_ESP, %ecx, "POP ES kept ESP"
    addl $4, %esp
    movl $0, %eax
    movl %eax, %gs
    FAULT_NOT_QEMU 13, 0, "null GS used", movl %gs:0, %ecx

    GROUP "limits" // QEMU checks neither limits nor types on access
    movl $SMALL, %eax
    movl %eax, %fs
    movl $0x12345678, 0xffc
    CATCH 2f
    movl %fs:0xffc, %ecx
2:  EXPECT_NO_FAULT "last dword"
    EXPECT %ecx, $0x12345678, "last dword"
    FAULT_NOT_QEMU 13, 0, "dword beyond", movl %fs:0xffd, %ecx
    FAULT_NOT_QEMU 13, 0, "byte beyond", movb %fs:0x1000, %cl
    FAULT_NOT_QEMU 13, 0, "dword across the end of offsets", movl %fs:0xfffffffd, %ecx
    movl $DOWN, %eax
    movl %eax, %fs
    FAULT_NOT_QEMU 13, 0, "expand-down, below", movl %fs:0xffc, %ecx
    FAULT_NOT_QEMU 13, 0, "expand-down, partly below", movl %fs:0xfff, %ecx
    CATCH 2f
    movl %fs:0x1000, %ecx
2:  EXPECT_NO_FAULT "expand-down, first"
    movl $READ_ONLY, %eax
    movl %eax, %fs
    FAULT_NOT_QEMU 13, 0, "write to read-only", movl %eax, %fs:SCRATCH
    FAULT_NOT_QEMU 13, 0, "ADD to read-only", addl %eax, %fs:SCRATCH
    FAULT_NOT_QEMU 13, 0, "write to code", movl %eax, %cs:SCRATCH
    movl $SMALL, %eax
    movl %eax, %ss
    movl $0x800, %esp
    movl $0xffd, %ebp
    FAULT_NOT_QEMU 12, 0, "EBP beyond SS", movl (%ebp), %ecx
    movl $SMALL, %eax
    movl %eax, %ss
    movl $0x800, %esp
    movl %eax, %fs
    FAULT_NOT_QEMU 13, 0, "EBP beyond another segment", movl %fs:0x0(%ebp), %ecx
    movl $STACK, %esp
    CATCH 2f
    USER 1f
1:  movw $USER_SMALL, %ax
    movw %ax, %ss
    movl $2, %esp
1:  pushl %eax
    int $0x80
2:  EXPECT_FAULT 12, 0, 1b, "PUSH below 0", EXPECT_NOT_QEMU
    EXPECT_NOT_QEMU HIT_ESP, $2, "a failed PUSH keeps ESP"

    GROUP "far transfers"
    FAULT 13, 0, "JMP to null", ljmp $0, $0
    FAULT 13, DATA, "JMP to data", ljmp $DATA, $0
    FAULT 13, BEYOND, "JMP beyond the table", ljmp $BEYOND, $0
    FAULT 11, ABSENT_CODE, "JMP to absent code", ljmp $ABSENT_CODE, $0
    FAULT 11, ABSENT_GATE, "CALL by an absent gate", lcall $ABSENT_GATE, $0
    FAULT 13, USER_CODE - 3, "JMP to ring 3", ljmp $USER_CODE, $0
    FAULT 13, 0, "JMP beyond the segment", ljmp $SMALL_CODE, $0x1000
    USER_FAULT 13, CODE, "JMP from ring 3 to ring 0", ljmp $CODE, $0
    USER_FAULT 13, ABSENT_GATE, "a gate of ring 0 in ring 3", lcall $ABSENT_GATE, $0
    pushl $DATA
    pushl $0
    FAULT 13, DATA, "RETF to data", lret
    pushl $0
    pushl $0
    FAULT 13, 0, "RETF to null", lret
    pushl $2
    pushl $ABSENT_CODE
    pushl $0
    FAULT 11, ABSENT_CODE, "IRET to absent code", iret
    movl $STACK, %esp
    pushl $USER_DATA - 3
    pushl $USER_STACK
    pushl $2
    pushl $USER_CODE
    pushl $0
    FAULT 13, USER_DATA - 3, "IRET to ring 3 with a stack of RPL 0", iret
    movl $STACK, %esp

    GROUP "stacks of call gates"
    movl $0x70000, TSS + 12 // ESP1
    movl $0, TSS + 16 // SS1
    USER_FAULT 10, 0, "SS1 null", lcall $GATE1, $0
    movl $BEYOND + 1, TSS + 16
    USER_FAULT 10, BEYOND, "SS1 beyond", lcall $GATE1, $0
    movl $DATA1 & ~3, TSS + 16
    USER_FAULT 10, DATA1 - 1, "SS1 with RPL 0", lcall $GATE1, $0
    movl $DATA + 1, TSS + 16
    USER_FAULT 10, DATA, "SS1 with DPL 0", lcall $GATE1, $0
    movl $CODE1, TSS + 16
    USER_FAULT 10, CODE1 - 1, "SS1 is code", lcall $GATE1, $0
    movl $ABSENT_DATA1, TSS + 16
    CATCH 2f
    USER 1f
1:  lcall $GATE1, $0
    int $0x80
2:  EXPECT_FAULT 12, ABSENT_DATA1 - 1, 1b, "SS1 not present", EXPECT_NOT_QEMU // QEMU: #TS

    GROUP "privilege"
    .macro PRIVILEGED code:vararg
    USER_FAULT 13, 0, "\code", \code
    .endm
    PRIVILEGED hlt
    PRIVILEGED cli
    PRIVILEGED sti
    PRIVILEGED inb $0x80
    PRIVILEGED outb $0x80
    PRIVILEGED outsb
    PRIVILEGED movl %cr0, %eax
    PRIVILEGED movl %eax, %dr7
    PRIVILEGED lgdt AT(kernel_gdt_pointer)
    PRIVILEGED lidt AT(kernel_idt_pointer)
    PRIVILEGED lldt %ax
    PRIVILEGED ltr %ax
    PRIVILEGED lmsw %ax
    PRIVILEGED clts
    PRIVILEGED invd
    PRIVILEGED wbinvd
    PRIVILEGED invlpg 0
    CATCH 2f
    USER 1f
1:  smsw %ax
    sgdt SCRATCH
    sidt SCRATCH
    sldt %ax
    str %ax
    pushfl
    popfl
    nop
    int $0x80
1:
2:  EXPECT_FAULT 0x80, 0, 1b, "sensitive but not privileged"

    GROUP "interrupt gates"
    FAULT 13, 0x90 * 8 + 2, "no gate", int $0x90
    movl $(CODE << 16), IDT + 0x90 * 8
    movl $0x0e00, IDT + 0x90 * 8 + 4
    FAULT 11, 0x90 * 8 + 2, "absent gate", int $0x90
    movb $0x8e, IDT + 0x90 * 8 + 5
    USER_FAULT 13, 0x90 * 8 + 2, "a gate of ring 0 in ring 3", int $0x90
    USER_FAULT 13, 6 * 8 + 2, "INT 6 in ring 3", int $6
    movw $0, IDT + 0x90 * 8 + 2
    FAULT 13, 0, "null CS", int $0x90
    movw $DATA, IDT + 0x90 * 8 + 2
    FAULT 13, DATA, "CS is data", int $0x90
    movw $ABSENT_CODE, IDT + 0x90 * 8 + 2
    FAULT 11, ABSENT_CODE, "CS not present", int $0x90
    movw $BEYOND, IDT + 0x90 * 8 + 2
    FAULT 13, BEYOND, "CS beyond", int $0x90
    movb $0x8b, IDT + 0x90 * 8 + 5
    FAULT 13, 0x90 * 8 + 2, "a TSS descriptor is no gate", int $0x90
    // QEMU leaves out EXT, bit 0 of the error code: the event being delivered was not an INT n.
    movb $0x0e, IDT + 6 * 8 + 5
    FAULT_NOT_QEMU 11, 6 * 8 + 3, "UD2 by an absent gate", ud2
    movb $0x8e, IDT + 6 * 8 + 5

    GROUP "system tables"
    movl $CODE, %eax
    FAULT 13, CODE, "LTR of code", ltr %ax
    movl $TASK, %eax
    FAULT 13, TASK, "LTR of the busy task", ltr %ax
    movl $ABSENT_TASK, %eax
    FAULT 11, ABSENT_TASK, "LTR of an absent task", ltr %ax
    cmpl $0, ON_QEMU
    jnz 3f // it would load the null selector
    xorl %eax, %eax
    FAULT 13, 0, "LTR of null", ltr %ax
3:
    movl $DATA, %eax
    FAULT 13, DATA, "LLDT of data", lldt %ax
    movl $ABSENT_LDT, %eax
    FAULT 11, ABSENT_LDT, "LLDT of an absent table", lldt %ax
    movl $LDT + 4, %eax
    FAULT 13, LDT + 4, "LLDT of a selector into the LDT", lldt %ax
    movl $LDT, %eax
    CATCH 2f
    lldt %ax
2:  EXPECT_NO_FAULT "LLDT"
    movl $0x0000ffff, 0xc000
    movl $0x00cf9300, 0xc004
    movl $4, %eax
    CATCH 2f
    movl %eax, %es
2:  EXPECT_NO_FAULT "entry 0 of the LDT is no null selector"
    movl $DATA, %eax
    movl %eax, %es
    movl $0xc, %eax
    FAULT 13, 0xc, "beyond the LDT", movl %eax, %es
    xorl %eax, %eax
    lldt %ax

    GROUP "control registers"
    movl %cr0, %ebx
    cmpl $0, ON_QEMU
    jnz 3f // it takes the first two, and hangs at the third
    movl %ebx, %eax
    orl $0x80000000, %eax
    andl $~1, %eax
    FAULT 13, 0, "PG without PE", movl %eax, %cr0
    movl %ebx, %eax
    andl $~0x40000000, %eax
    orl $0x20000000, %eax
    FAULT 13, 0, "NW without CD", movl %eax, %cr0
    movl $0x80000000, %eax
    FAULT 13, 0, "reserved bit of CR4", movl %eax, %cr4
3:  movl $0x12345, %ecx
    FAULT_NOT_QEMU 13, 0, "RDMSR of no register", rdmsr // QEMU reads 0 and drops writes
    FAULT_NOT_QEMU 13, 0, "WRMSR of no register", wrmsr

    GROUP "alignment"
    movl %cr0, %eax
    orl $0x40000, %eax // AM
    movl %eax, %cr0
    CATCH 2f
    movl $SCRATCH + 1, %ebx
    USER 1f, 0x40002
1:  movl (%ebx), %eax
    int $0x80
2:  EXPECT_FAULT 17, 0, 1b, "AC in ring 3", EXPECT_NOT_QEMU // QEMU has no #AC
    CATCH 2f
    pushl $0x40002
    popfl
    movl (%ebx), %eax
    pushl $2
    popfl
2:  EXPECT_NO_FAULT "AC in ring 0"
    movl %cr0, %eax
    andl $~0x40000, %eax
    movl %eax, %cr0

    // A fault while a fault is delivered (Vol. 3A table 6-5). The gate of #DF is a task gate.
    GROUP "double fault"
    movl $AT(double_fault), TSS2 + 0x20
    movl $2, TSS2 + 0x24
    movl $0x78000, TSS2 + 0x38
    movl $DATA, TSS2 + 0x48
    movl $CODE, TSS2 + 0x4c
    movl $DATA, TSS2 + 0x50
    movl $DATA, TSS2 + 0x54
    movl $(TASK2 << 16), IDT + 8 * 8
    movl $0x8500, IDT + 8 * 8 + 4
    movb $0x0e, IDT + 13 * 8 + 5
    movl $-1, HIT_VECTOR
    xorl %eax, %eax
1:  movl %eax, %ss
2:  subl $AT(1b), HIT_EIP
    EXPECT HIT_VECTOR, $8, "#NP while #GP is delivered"
    EXPECT HIT_ERROR, $0, "error code"
    EXPECT HIT_EIP, $0, "EIP in the TSS, as a distance"
    EXPECT SCRATCH, $TASK, "back link"
    EXPECT SCRATCH + 4, $0x4000, "NT"
    EXPECT SCRATCH + 8, $TASK2, "TR"
    movb $0x8e, IDT + 13 * 8 + 5

    // The IDT's entries up to 13 lie in a page that can be taken away, 14 in the next.
    GROUP "page faults while delivering"
    movl $IDT, %esi
    movl $0x2ff90, %edi
    movl $0x200, %ecx
    rep movsl
    lidt AT(split_idt)
    movl $PAGE_TABLE + 7, PAGE_DIRECTORY
    movl $7, %eax
    movl $PAGE_TABLE, %edi
    movl $1024, %ecx
3:  stosl
    addl $0x1000, %eax
    loop 3b
    movl $PAGE_DIRECTORY, %eax
    movl %eax, TSS2 + 0x1c
    movl %eax, TSS + 0x1c
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    movl $0, PAGE_TABLE + 0x2f * 4
    movl %cr3, %eax
    movl %eax, %cr3
    // QEMU sets no bit for the page fault's EXT either; a page fault's code has none.
    FAULT 14, 0, "#PF while #UD is delivered", ud2
    EXPECT HIT_CR2, $0x2ff90 + 6 * 8, "CR2"
    xorl %eax, %eax
    FAULT 14, 0, "#PF while #GP is delivered", movl %eax, %ss
    EXPECT HIT_CR2, $0x2ff90 + 13 * 8, "CR2"
    movl $0x2f007, PAGE_TABLE + 0x2f * 4
    movl $0, PAGE_TABLE + 0x30 * 4
    movl %cr3, %eax
    movl %eax, %cr3
    movl $-1, HIT_VECTOR
1:  movl 0x30800, %eax
2:  subl $AT(1b), HIT_EIP
    EXPECT HIT_VECTOR, $8, "#PF while #PF is delivered"
    EXPECT HIT_ERROR, $0, "error code"
    EXPECT HIT_EIP, $0, "EIP in the TSS, as a distance"
    movl %cr2, %eax
    EXPECT %eax, $0x30000, "CR2 of the second"
    movl $0x30007, PAGE_TABLE + 0x30 * 4
    jmp kernel_finish

// The double fault's task: notes what it finds, and returns to label 2 behind the fault, which stands 2 or 5 bytes on.
double_fault:
    movl $8, HIT_VECTOR
    popl HIT_ERROR
    movzwl TSS2, %eax
    movl %eax, SCRATCH
    pushfl
    popl %eax
    andl $0x4000, %eax
    movl %eax, SCRATCH + 4
    str %eax
    movl %eax, SCRATCH + 8
    movl TSS + 0x20, %eax
    movl %eax, HIT_EIP
    addl $2, TSS + 0x20
    cmpb $0xa1, (%eax)
    jne 1f
    addl $3, TSS + 0x20
1:  iret
    jmp double_fault

    .balign 4
split_idt:
    .word 0x3ff
    .long 0x2ff90
END_KERNEL

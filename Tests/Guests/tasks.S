// Hardware task switches (Intel SDM Vol. 3A chapter 7): by JMP, CALL, IRET, INT and a task gate; busy bits, NT, back links, what
// is saved and loaded, CR3 and LDT, the T bit, tasks in ring 3, in virtual-8086 mode and with a 16-bit TSS, and what can fail.

#include "Kernel.h"

#define TASK_B 0x48
#define TASK_C 0x50
#define TASK_16 0x58
#define GATE 0x60 // task gate to B
#define USER_GATE 0x68 // the same, open to ring 3
#define LDT 0x70
#define SMALL_TASK 0x78 // limit 66H
#define ABSENT_TASK 0x80
#define IMAGE16 0x88
#define ABSENT_CODE 0x90
#define BEYOND 0x300

#define TSS_B 0xa200
#define TSS_C 0xa300
#define TSS_16 0xa400
#define LDT_TABLE 0xc000
#define DIRECTORY 0x200000
#define TABLE 0x201000
#define DIRECTORY_B 0x202000
#define TABLE_B 0x203000

// Offsets in a TSS (figure 7-2).
#define LINK 0
#define ESP0 4
#define SS0 8
#define CR3 0x1c
#define EIP 0x20
#define EFLAGS 0x24
#define EAX 0x28
#define ECX 0x2c
#define EDX 0x30
#define EBX 0x34
#define ESP 0x38
#define EBP 0x3c
#define ESI 0x40
#define EDI 0x44
#define ES 0x48
#define CS 0x4c
#define SS 0x50
#define DS 0x54
#define FS 0x58
#define GS 0x5c
#define LDTR 0x60
#define TRAP 0x64

#define BUSY(task) GDT + ((task) & ~7) + 5 // the byte with the type: 89H available, 8BH busy
#define NT 0x4000
#define RESULT(n) SCRATCH + 0x100 + (n) * 4

// Fills a TSS with flat segments and these.
.macro FILL tss:req, eip:req, esp:req, eflags=2
    movl $\tss, %edi
    movl $0x68 / 4, %ecx
    xorl %eax, %eax
    rep stosl
    movl $STACK0, \tss + ESP0
    movl $DATA, \tss + SS0
    movl $AT(\eip), \tss + EIP
    movl $\eflags, \tss + EFLAGS
    movl $\esp, \tss + ESP
    movl $DATA, \tss + ES
    movl $CODE, \tss + CS
    movl $DATA, \tss + SS
    movl $DATA, \tss + DS
    movl %cr3, %eax
    movl %eax, \tss + CR3
.endm

.macro EXPECT_BUSY task:req, want:req, name:req
    movzbl BUSY(\task), %eax
    EXPECT %eax, $\want, "\name"
.endm

.macro EXPECT_TR want:req, name:req
    str %eax
    EXPECT %eax, $\want, "\name"
.endm

.macro EXPECT_NT want:req, name:req
    pushfl
    popl %eax
    andl $NT, %eax
    EXPECT %eax, $\want, "\name"
.endm

// Makes the kernel's own task current again, whatever it is now, and all others available.
.macro HOME
    movb $0x89, BUSY(TASK_B)
    movb $0x89, BUSY(TASK_C)
    movb $0x81, BUSY(TASK_16)
    movb $0x89, BUSY(TASK)
    movw $TASK, %ax
    ltr %ax
.endm

KERNEL tasks, "tasks"
    SET_DESCRIPTOR(TASK_B, TSS_B, 0x67, 0x89, 0)
    SET_DESCRIPTOR(TASK_C, TSS_C, 0x67, 0x89, 0)
    SET_DESCRIPTOR(TASK_16, TSS_16, 0x2b, 0x81, 0)
    SET_GATE(GATE, TASK_B, 0, 0x85, 0)
    SET_GATE(USER_GATE, TASK_B, 0, 0xe5, 0)
    SET_DESCRIPTOR(LDT, LDT_TABLE, 0xf, 0x82, 0)
    SET_DESCRIPTOR(SMALL_TASK, TSS_B, 0x66, 0x89, 0)
    SET_DESCRIPTOR(ABSENT_TASK, TSS_B, 0x67, 0x09, 0)
    SET_DESCRIPTOR(IMAGE16, LOAD_ADDRESS, 0xffff, 0x9b, 0)
    SET_DESCRIPTOR(ABSENT_CODE, 0, 0xfffff, 0x1b, 0xc)
    xorl %eax, %eax
    lldt %ax

    GROUP "JMP"
    FILL TSS_B, jumped_to, 0x70000, 0xad7
    movl $0x11111111, TSS_B + EAX
    movl $0x22222222, TSS_B + ECX
    movl $0x33333333, TSS_B + EDX
    movl $0x44444444, TSS_B + EBX
    movl $0x55555555, TSS_B + EBP
    movl $0x66666666, TSS_B + ESI
    movl $0x77777777, TSS_B + EDI
    movl $DATA, TSS_B + FS
    movl $0xaaaa5555, %ebx
    movl $0x12345678, %edi
    clts
    pushl $2
    popfl
    ljmp $TASK_B, $0x12345678
jump_return:
    EXPECT %ebx, $0xaaaa5555, "EBX came back"
    EXPECT %edi, $0x12345678, "EDI came back"
    EXPECT TSS + EIP, $AT(jump_return), "saved EIP"
    EXPECT TSS + EFLAGS, $2, "saved EFLAGS"
    EXPECT TSS + ESP, $STACK, "saved ESP"
    EXPECT TSS + CS, $CODE, "saved CS"
    EXPECT RESULT(0), $0x11111111, "EAX of the new task"
    EXPECT RESULT(1), $0x22222222, "ECX"
    EXPECT RESULT(2), $0x33333333, "EDX"
    EXPECT RESULT(3), $0x44444444, "EBX"
    EXPECT RESULT(4), $0x70000, "ESP"
    EXPECT RESULT(5), $0x55555555, "EBP"
    EXPECT RESULT(6), $0x66666666, "ESI"
    EXPECT RESULT(7), $0x77777777, "EDI"
    EXPECT RESULT(8), $0xad7, "EFLAGS"
    EXPECT RESULT(9), $DATA, "FS"
    EXPECT RESULT(10), $0, "GS"
    EXPECT RESULT(11), $TASK_B, "TR"
    EXPECT RESULT(12), $8, "CR0.TS"
    EXPECT RESULT(13), $0x89, "the old task is available"
    EXPECT RESULT(14), $0x8b, "the new one is busy"
    EXPECT_BUSY TASK, 0x8b, "back: busy"
    EXPECT_BUSY TASK_B, 0x89, "the other: available"
    EXPECT TSS_B + LINK, $0, "JMP writes no back link"
    EXPECT_TR TASK, "TR"

    GROUP "CALL and IRET"
    FILL TSS_B, called, 0x70000
    lcall $TASK_B, $0
1:  EXPECT RESULT(0), $NT, "NT in the new task"
    EXPECT RESULT(1), $TASK, "its back link"
    EXPECT RESULT(2), $0x8b, "the old task stays busy"
    EXPECT_NT 0, "NT after the return"
    EXPECT_BUSY TASK_B, 0x89, "the other is available"
    EXPECT_BUSY TASK, 0x8b, "this one is busy"
    EXPECT TSS + EIP, $AT(1b), "saved EIP"
    movl TSS_B + EFLAGS, %eax
    andl $NT, %eax
    EXPECT %eax, $0, "IRET saves the task it leaves without NT"
    EXPECT TSS_B + EIP, $AT(called_again), "and its EIP is the instruction behind IRET"
    lcall $GATE, $0
    EXPECT RESULT(3), $2, "through a task gate: it went on behind its IRET"
    movl $0, SCRATCH
    movw $GATE, SCRATCH + 4
    lcalll *SCRATCH
    EXPECT RESULT(3), $3, "CALL m16:32"
    FILL TSS_B, nest_b, 0x70000
    FILL TSS_C, nest_c, 0x74000
    lcall $TASK_B, $0
    EXPECT RESULT(0), $TASK_B, "nested: the back link of the third"
    EXPECT RESULT(1), $0x8b8b, "nested: both others are busy"
    EXPECT RESULT(2), $1, "nested: the second ran on"

    GROUP "interrupts"
    movl $(TASK_B << 16), IDT + 0x83 * 8
    movl $0xe500, IDT + 0x83 * 8 + 4
    FILL TSS_B, interrupted, 0x70000
    pushl $0xad7
    popfl
    movl $0x1234, %eax
    int $0x83
1:  pushfl
    popl %ecx
    pushl $2
    popfl
    EXPECT %ecx, $0xad7, "flags are those from before"
    EXPECT %eax, $0x1234, "so is EAX"
    EXPECT RESULT(0), $0x70000, "nothing is pushed"
    EXPECT TSS + EIP, $AT(1b), "saved EIP"
    FILL TSS_B, interrupted, 0x70000
    CATCH 2f
    USER 1f
1:  int $0x83
    movl %cs, %eax
    int $0x80
2:  EXPECT %eax, $USER_CODE, "from ring 3 and back"
    EXPECT TSS + CS, $USER_CODE, "CS in its TSS"
    FILL TSS_B, with_error, 0x70000
    movl $(TASK_B << 16), IDT + 11 * 8
    movl $0x8500, IDT + 11 * 8 + 4
    movl $ABSENT_CODE, %ecx
1:  movl %ecx, %fs
2:  SET_VECTOR(11, kernel_entries + 11 * 16, 0x8e)
    EXPECT RESULT(0), $ABSENT_CODE, "an exception's error code is pushed on the new stack"
    EXPECT RESULT(1), $0x70000 - 4, "as 32 bits"
    EXPECT RESULT(2), $AT(1b), "saved EIP: the instruction that faulted"

    GROUP "what is loaded"
    movl $TABLE + 7, DIRECTORY
    movl $TABLE_B + 7, DIRECTORY_B
    movl $7, %eax
    movl $TABLE, %edi
    movl $1024, %ecx
1:  stosl
    addl $0x1000, %eax
    loop 1b
    movl $TABLE, %esi
    movl $TABLE_B, %edi
    movl $1024, %ecx
    rep movsl
    movl $0x301007, TABLE_B + 0x300 * 4
    movl $0x11111111, 0x300000
    movl $0x22222222, 0x301000
    movl $0x0000ffff, LDT_TABLE + 8
    movl $0x00cf9330, LDT_TABLE + 12 // base 300000H
    movl $DIRECTORY, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    FILL TSS_B, reads_memory, 0x70000
    movl $DIRECTORY_B, TSS_B + CR3
    movl $DIRECTORY, TSS + CR3
    movl $LDT, TSS_B + LDTR
    movl $0xc, TSS_B + FS
    movl $0xff, %eax
    movl %eax, %dr7
    lcall $TASK_B, $0
    movl %dr7, %ecx
    xorl %eax, %eax
    movl %eax, %dr7
    EXPECT %ecx, $0x4aa, "DR7: the local breakpoints go, the global ones stay"
    EXPECT RESULT(0), $0x22222222, "CR3"
    EXPECT RESULT(1), $0x22222222, "a segment of the LDT"
    EXPECT RESULT(2), $LDT, "LDTR"
    EXPECT RESULT(3), $DIRECTORY_B, "CR3 itself"
    EXPECT 0x300000, $0x11111111, "CR3 of this task"
    sldt %eax
    EXPECT %eax, $0, "LDTR of this task"
    EXPECT TSS + CR3, $DIRECTORY, "CR3 is not saved, it stays what it was"

    GROUP "the T bit"
    movl $0xffff0ff0, %eax
    movl %eax, %dr6
    FILL TSS_B, trapped, 0x70000
    movl $1, TSS_B + TRAP
    CATCH 2f
    ljmp $TASK_B, $0
2:  EXPECT_FAULT 1, 0, trapped, "before the first instruction", EXPECT_NOT_QEMU // QEMU has no such trap
    movl %dr6, %eax
    EXPECT_NOT_QEMU %eax, $0xffff8ff0, "DR6: BT"
    EXPECT_TR TASK_B, "TR is the new task's"
    movl $0xffff0ff0, %eax
    movl %eax, %dr6
    HOME

    GROUP "other rings and modes"
    FILL TSS_B, user_task, USER_STACK, 0x3202
    movl $USER_CODE, TSS_B + CS
    movl $USER_DATA, TSS_B + SS
    movl $USER_DATA, TSS_B + DS
    movl $USER_DATA, TSS_B + ES
    CATCH 2f
    ljmp $TASK_B, $0
2:  EXPECT HIT_VECTOR, $0x80, "ring 3"
    EXPECT HIT_CS, $USER_CODE, "its CS"
    EXPECT HIT_ESP, $USER_STACK, "its ESP"
    EXPECT HIT_FRAME, $STACK0 - 28, "its ring 0 stack"
    HOME
    FILL TSS_B, user_task, 0x8000, 0x23002
    movl $0, TSS_B + EIP
    movl $0x100, TSS_B + CS
    movl $0x600, TSS_B + SS
    movl $0x200, TSS_B + DS
    movl $0x300, TSS_B + ES
    movl $0x400, TSS_B + FS
    movl $0x500, TSS_B + GS
    movl $0x80cd, 0x1000
    CATCH 2f
    ljmp $TASK_B, $0
2:  EXPECT HIT_VECTOR, $0x80, "virtual-8086 mode"
    EXPECT HIT_EFLAGS, $0x23002, "its EFLAGS"
    EXPECT HIT_CS, $0x100, "its CS"
    movl HIT_FRAME, %esi
    EXPECT 32(%esi), $0x200, "its DS"
    EXPECT 40(%esi), $0x500, "its GS"
    HOME
    // A 16-bit TSS (figure 7-10): SP0, SS0, ..., IP at EH, and no FS, GS or CR3.
    movl $TSS_16, %edi
    movl $11, %ecx
    xorl %eax, %eax
    rep stosl
    movw $task16 - image_start, TSS_16 + 0x0e
    movw $2, TSS_16 + 0x10
    movw $0x1111, TSS_16 + 0x12
    movw $0x6000, TSS_16 + 0x1a
    movw $DATA, TSS_16 + 0x22
    movw $IMAGE16, TSS_16 + 0x24
    movw $DATA, TSS_16 + 0x26
    movw $DATA, TSS_16 + 0x28
    movl $0x12345678, %ebx
    lcall $TASK_16, $0
    EXPECT %ebx, $0x12345678, "16 bits: EBX came back whole"
    EXPECT RESULT(0), $0x1111, "its AX"
    EXPECT RESULT(1), $TASK, "its back link"
    EXPECT RESULT(2), $0x6000, "its SP"
    EXPECT TSS_16 + 0x0e, $(2 << 16) + task16_end - image_start, "saved IP and FLAGS"

    GROUP "failures"
    FILL TSS_B, user_task, 0x70000
    FAULT 13, TASK, "JMP to the running task", ljmp $TASK, $0
    FAULT 13, TASK, "CALL to the running task", lcall $TASK, $0
    FAULT 10, SMALL_TASK, "a TSS too small", ljmp $SMALL_TASK, $0
    FAULT 11, ABSENT_TASK, "an absent TSS", ljmp $ABSENT_TASK, $0
    FAULT 13, BEYOND, "beyond the table", ljmp $BEYOND, $0
    USER_FAULT 13, TASK_B, "a TSS of ring 0 in ring 3", ljmp $TASK_B, $0
    USER_FAULT 13, GATE, "a gate of ring 0 in ring 3", lcall $GATE, $0
    movl $0, TSS + LINK
    pushl $NT + 2
    popfl
    FAULT 10, 0, "IRET with NT and no back link", iret
    movl $TASK_B, TSS + LINK
    pushl $NT + 2
    popfl
    FAULT 10, TASK_B, "IRET to a task that is not busy", iret
    EXPECT_BUSY TASK, 0x8b, "still busy"
    EXPECT_TR TASK, "still here"
    movw $BEYOND, GDT + GATE + 2
    FAULT 13, BEYOND, "a gate to beyond", lcall $GATE, $0
    movw $DATA, GDT + GATE + 2
    FAULT 13, DATA, "a gate to no TSS", lcall $GATE, $0
    // These are found in the new task.
    .macro FAILS_INSIDE field:req, selector:req, vector:req, name:req
    HOME
    FILL TSS_B, user_task, 0x70000
    movl $\selector, TSS_B + \field
    CATCH 2f
    ljmp $TASK_B, $0
2:  EXPECT_FAULT \vector, \selector, user_task, "\name", EXPECT_NOT_QEMU // QEMU saves the old task's EIP
    EXPECT_TR TASK_B, "\name: TR"
    .endm
    FAILS_INSIDE DS, BEYOND, 10, "DS beyond"
    FAILS_INSIDE DS, ABSENT_CODE, 11, "DS absent"
    FAILS_INSIDE ES, TASK, 10, "ES is a TSS"
    FAILS_INSIDE FS, 0x304, 10, "FS in no LDT"
    // A bad LDT is found before the new task has a stack, so that only a task can handle it.
    HOME
    cmpl $0, ON_QEMU // raises a divide error
    jnz kernel_finish
    movl $(TASK_C << 16), IDT + 10 * 8
    movl $0x8500, IDT + 10 * 8 + 4
    FILL TSS_C, failed, 0x74000
    FILL TSS_B, user_task, 0x70000
    movl $DATA, TSS_B + LDTR
    CATCH 2f
    ljmp $TASK_B, $0
2:  EXPECT HIT_ERROR, $DATA, "LDT is data: error code"
    EXPECT RESULT(0), $TASK_B, "LDT is data: the handler's back link"
    EXPECT TSS_B + EIP, $AT(user_task), "LDT is data: saved EIP"
    EXPECT_TR TASK_C, "LDT is data: TR"
    HOME
    jmp kernel_finish

jumped_to:
    movl %eax, RESULT(0)
    movl %ecx, RESULT(1)
    movl %edx, RESULT(2)
    movl %ebx, RESULT(3)
    movl %esp, RESULT(4)
    movl %ebp, RESULT(5)
    movl %esi, RESULT(6)
    movl %edi, RESULT(7)
    pushfl
    popl RESULT(8)
    movl %fs, %eax
    movl %eax, RESULT(9)
    movl %gs, %eax
    movl %eax, RESULT(10)
    str %eax
    movl %eax, RESULT(11)
    movl %cr0, %eax
    andl $8, %eax
    movl %eax, RESULT(12)
    movzbl BUSY(TASK), %eax
    movl %eax, RESULT(13)
    movzbl BUSY(TASK_B), %eax
    movl %eax, RESULT(14)
    clts
    ljmp $TASK, $0

called:
    pushfl
    popl %eax
    andl $NT, %eax
    movl %eax, RESULT(0)
    movzwl TSS_B + LINK, %eax
    movl %eax, RESULT(1)
    movzbl BUSY(TASK), %eax
    movl %eax, RESULT(2)
    movl $1, RESULT(3)
    iret
called_again:
    incl RESULT(3)
    iret
    jmp called_again

nest_b:
    movl $0, RESULT(2)
    lcall $TASK_C, $0
    movl $1, RESULT(2)
    iret

nest_c:
    movzwl TSS_C + LINK, %eax
    movl %eax, RESULT(0)
    movzbl BUSY(TASK), %eax
    movb BUSY(TASK_B), %ah
    movl %eax, RESULT(1)
    iret

interrupted:
    movl %esp, RESULT(0)
    movl $0, %eax
    iret

with_error:
    movl %esp, RESULT(1)
    popl RESULT(0)
    movl TSS + EIP, %eax
    movl %eax, RESULT(2)
    addl $2, TSS + EIP
    iret

reads_memory:
    movl 0x300000, %eax
    movl %eax, RESULT(0)
    movl %fs:0, %eax
    movl %eax, RESULT(1)
    sldt %eax
    movl %eax, RESULT(2)
    movl %cr3, %eax
    movl %eax, RESULT(3)
    iret

// The handler of #TS.
failed:
    popl HIT_ERROR
    movzwl TSS_C + LINK, %eax
    movl %eax, RESULT(0)
    movl RESUME_ESP, %esp
    pushl $2
    popfl
    pushl RESUME_EIP
    movl $0, RESUME_EIP
    ret

trapped:
    nop
    int $0x80

user_task:
    int $0x80

    .code16
task16:
    movl $0, RESULT(0)
    movw %ax, RESULT(0)
    movzwl TSS_16 + LINK, %eax
    movl %eax, RESULT(1)
    movl $0, RESULT(2)
    movw %sp, RESULT(2)
    iretw
task16_end:
    .code32
END_KERNEL

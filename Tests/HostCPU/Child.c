#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "Mailbox.h"

// The child is one signal handler. Each trial ends in a trap (INT3 behind its bytes, or its own fault); the handler
// writes down the interrupted context, puts the next trial's registers into the same frame and returns to it:
// sigreturn loads all registers, flags, CS and SS at once, into 16- and 32-bit segments too.
//
// From the first trial on FS and GS belong to the trials, so nothing here may use thread-local storage: no errno, no
// library call but memcpy, which setup has called before. Signals are blocked in the handler, so a fault in it ends
// the child, and the parent says so.

enum { PAGES_MEMORY = HOST_CPU_MEMORY_SIZE / HOST_CPU_PAGE, CODE_INDEX = PAGES_MEMORY * HOST_CPU_PAGE };
enum { SIGNAL_FRAME_SS = 0x2, SIGNAL_FRAME_STRICT_SS = 0x4 }; // uc_flags: UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
enum { FX_LEGACY_SIZE = 416, FX_MXCSR = 24, FX_MXCSR_MASK = 28, XSAVE_HEADER = 512 };
enum { SCRATCH_STACK_SIZE = 64 * 1024, TICK_MICROSECONDS = 20000 };
enum { CHANNEL = 0 };

static HostCPUMailbox *mailbox;
static uint8_t *view; // memory and code page, writable, at an address that trials do not know
static uint8_t background[HOST_CPU_MEMORY_SIZE];
static uint8_t before[HOST_CPU_MEMORY_SIZE]; // what the running trial found
static uint64_t background_seed;
static int has_base_instructions;
static int running;
static uint64_t serial, ticked_serial;
static _Alignas(64) uint8_t handler_stack[SCRATCH_STACK_SIZE];

static const int gpr_index[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static long system_call(long number, long a, long b, long c, long d) {
    long result;
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = 0;
    register long sixth __asm__("r9") = 0;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return result;
}

// Where an address of the sandbox stands in `view`; -1 outside data, read-only page and stack.
static int memory_index(uint32_t address) {
    if (address >= HOST_CPU_DATA && address < HOST_CPU_DATA + 0x2000) return (int)(address - HOST_CPU_DATA);
    if (address >= HOST_CPU_READ_ONLY && address < HOST_CPU_READ_ONLY + 0x1000)
        return (int)(address - HOST_CPU_READ_ONLY + 0x2000);
    if (address >= HOST_CPU_STACK && address < HOST_CPU_STACK + 0x1000)
        return (int)(address - HOST_CPU_STACK + 0x3000);
    return -1;
}

static uint32_t memory_address(int index) {
    if (index < 0x2000) return HOST_CPU_DATA + (uint32_t)index;
    if (index < 0x3000) return HOST_CPU_READ_ONLY + (uint32_t)index - 0x2000;
    return HOST_CPU_STACK + (uint32_t)index - 0x3000;
}

static void set_bases(uint64_t fs_base, uint64_t gs_base) {
    if (has_base_instructions) {
        __asm__ volatile("wrfsbase %0" ::"r"(fs_base));
        __asm__ volatile("wrgsbase %0" ::"r"(gs_base));
    } else {
        system_call(SYS_arch_prctl, ARCH_SET_FS, (long)fs_base, 0, 0);
        system_call(SYS_arch_prctl, ARCH_SET_GS, (long)gs_base, 0, 0);
    }
}

static void load_segments(const HostCPUTrial *trial) {
    const HostCPURegisters *registers = &trial->registers;
    __asm__ volatile("movw %0, %%ds" ::"r"(registers->ds));
    __asm__ volatile("movw %0, %%es" ::"r"(registers->es));
    __asm__ volatile("movw %0, %%fs" ::"r"(registers->fs));
    __asm__ volatile("movw %0, %%gs" ::"r"(registers->gs));
    if (trial->mode == 64) set_bases(HOST_CPU_FS_BASE, HOST_CPU_GS_BASE);
}

static void place_memory(const HostCPUTrial *trial) {
    if (trial->background != background_seed) {
        host_cpu_background(trial->background, background);
        background_seed = trial->background;
        memcpy(view, background, HOST_CPU_MEMORY_SIZE);
        memcpy(before, background, HOST_CPU_MEMORY_SIZE);
    }
    for (uint32_t patch = 0; patch < trial->patchCount; patch++)
        for (uint32_t byte = 0; byte < trial->patches[patch].length; byte++) {
            int index = memory_index(trial->patches[patch].address + byte);
            if (index >= 0) view[index] = before[index] = trial->patchBytes[trial->patches[patch].start + byte];
        }
    memcpy(view + CODE_INDEX + (trial->codeAddress - HOST_CPU_CODE), trial->code, trial->codeLength);
}

static void enter(const HostCPUTrial *trial, ucontext_t *context) {
    greg_t *registers = context->uc_mcontext.gregs;
    place_memory(trial);
    for (int register_number = 0; register_number < 16; register_number++)
        registers[gpr_index[register_number]] = (greg_t)trial->registers.gpr[register_number];
    registers[REG_RIP] = (greg_t)trial->registers.rip;
    registers[REG_EFL] = (greg_t)trial->registers.rflags;
    registers[REG_CSGSFS] = (greg_t)((uint64_t)trial->registers.cs | (uint64_t)trial->registers.ss << 48);
    context->uc_flags |= SIGNAL_FRAME_SS | SIGNAL_FRAME_STRICT_SS;
    if (trial->usesFX) {
        uint8_t *frame = (uint8_t *)context->uc_mcontext.fpregs;
        uint32_t mask;
        memcpy(&mask, frame + FX_MXCSR_MASK, 4);
        memcpy(frame, trial->fx, FX_LEGACY_SIZE);
        memcpy(frame + FX_MXCSR_MASK, &mask, 4);
        frame[XSAVE_HEADER] |= 3;
    }
    load_segments(trial);
}

static void note_changes(const HostCPUTrial *trial, HostCPUOutcome *outcome) {
    outcome->changeCount = 0;
    for (int line = 0; line < HOST_CPU_MEMORY_SIZE; line += 64) {
        uint64_t now[8], then[8], difference = 0;
        memcpy(now, view + line, 64);
        memcpy(then, before + line, 64);
        for (int word = 0; word < 8; word++) difference |= now[word] ^ then[word];
        if (difference == 0) continue;
        for (int index = line; index < line + 64; index++) {
            if (view[index] == before[index]) continue;
            if (outcome->changeCount < HOST_CPU_CHANGE_LIMIT) {
                outcome->changes[outcome->changeCount].address = memory_address(index);
                outcome->changes[outcome->changeCount].value = view[index];
            }
            outcome->changeCount++;
        }
        memcpy(view + line, background + line, 64);
    }
    for (uint32_t patch = 0; patch < trial->patchCount; patch++)
        for (uint32_t byte = 0; byte < trial->patches[patch].length; byte++) {
            int index = memory_index(trial->patches[patch].address + byte);
            if (index >= 0) view[index] = before[index] = background[index];
        }
    memset(view + CODE_INDEX + (trial->codeAddress - HOST_CPU_CODE), 0xcc, trial->codeLength);
}

// Whether an INT3 at an offset of the interrupted CS is one of those that fill the code page.
static int is_fill(const HostCPUTrial *trial, uint16_t cs, uint64_t offset) {
    uint64_t base = cs == HOST_CPU_SELECTOR_CODE16 || cs == HOST_CPU_SELECTOR_EXECUTE_ONLY ? HOST_CPU_BASE : 0;
    uint64_t address = base + offset;
    return address - HOST_CPU_CODE < HOST_CPU_PAGE && address - trial->codeAddress >= trial->codeLength;
}

static void leave(const HostCPUTrial *trial, HostCPUOutcome *outcome, int signal_number, ucontext_t *context) {
    const greg_t *registers = context->uc_mcontext.gregs;
    for (int register_number = 0; register_number < 16; register_number++)
        outcome->registers.gpr[register_number] = (uint64_t)registers[gpr_index[register_number]];
    outcome->registers.rip = (uint64_t)registers[REG_RIP];
    outcome->registers.rflags = (uint64_t)registers[REG_EFL];
    outcome->registers.cs = (uint16_t)registers[REG_CSGSFS];
    outcome->registers.ss = (uint16_t)((uint64_t)registers[REG_CSGSFS] >> 48);
    __asm__ volatile("movw %%ds, %0" : "=r"(outcome->registers.ds));
    __asm__ volatile("movw %%es, %0" : "=r"(outcome->registers.es));
    __asm__ volatile("movw %%fs, %0" : "=r"(outcome->registers.fs));
    __asm__ volatile("movw %%gs, %0" : "=r"(outcome->registers.gs));
    outcome->signal = (uint32_t)signal_number;
    outcome->vector = (uint32_t)registers[REG_TRAPNO];
    outcome->errorCode = (uint64_t)registers[REG_ERR];
    outcome->faultAddress = outcome->vector == 14 ? (uint64_t)registers[REG_CR2] : 0;
    outcome->ending = HOST_CPU_FAULTED;
    if (signal_number == SIGVTALRM) {
        outcome->ending = HOST_CPU_TIMED_OUT;
    } else if (outcome->vector == 3 && is_fill(trial, outcome->registers.cs, outcome->registers.rip - 1)) {
        outcome->ending = HOST_CPU_RETIRED;
        outcome->registers.rip -= 1;
    }
    if (trial->usesFX) {
        const uint8_t *frame = (const uint8_t *)context->uc_mcontext.fpregs;
        memcpy(outcome->fx, frame, FX_LEGACY_SIZE);
        memset(outcome->fx + FX_LEGACY_SIZE, 0, HOST_CPU_FX_SIZE - FX_LEGACY_SIZE);
    }
    note_changes(trial, outcome);
}

// Tells the parent that the batch is done and waits for the next one.
static void await_batch(void) {
    char byte = 'd';
    if (system_call(SYS_sendto, CHANNEL, (long)&byte, 1, MSG_NOSIGNAL) != 1 ||
        system_call(SYS_read, CHANNEL, (long)&byte, 1, 0) != 1)
        for (;;) system_call(SYS_exit_group, 0, 0, 0, 0);
}

__attribute__((used, no_stack_protector)) static void serve(int signal_number, siginfo_t *info, void *raw_context) {
    (void)info;
    ucontext_t *context = raw_context;
    if (signal_number == SIGVTALRM) {
        if (!running) return;
        if (ticked_serial != serial) {
            ticked_serial = serial;
            return;
        }
    }
    if (running) {
        uint32_t current = mailbox->current;
        leave(&mailbox->trials[current], &mailbox->outcomes[current], signal_number, context);
        mailbox->current = current + 1;
        if (mailbox->current == mailbox->count) await_batch();
    } else {
        await_batch();
    }
    running = 1;
    serial++;
    enter(&mailbox->trials[mailbox->current], context);
}

// Flags come as the trial left them: AC, NT and ID would disturb the handler or leak into the next trial.
__asm__(".text\n"
        "serve_with_clean_flags:\n"
        "    pushq $2\n"
        "    popfq\n"
        "    jmp serve\n");
void serve_with_clean_flags(int signal_number, siginfo_t *info, void *context) __asm__("serve_with_clean_flags");

static void check(int ok) {
    if (!ok) _exit(errno ? errno : 1);
}

static void map_sandbox(void) {
    int file = (int)syscall(SYS_memfd_create, "sandbox", 0);
    check(file >= 0);
    check(ftruncate(file, CODE_INDEX + HOST_CPU_PAGE) == 0);
    view = mmap(NULL, CODE_INDEX + HOST_CPU_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    check(view != MAP_FAILED);
    memset(view + CODE_INDEX, 0xcc, HOST_CPU_PAGE);
    const struct {
        uintptr_t address;
        size_t size;
        int protection;
        off_t offset;
    } parts[] = {
        {HOST_CPU_DATA, 0x2000, PROT_READ | PROT_WRITE, 0},
        {HOST_CPU_READ_ONLY, 0x1000, PROT_READ, 0x2000},
        {HOST_CPU_STACK, 0x1000, PROT_READ | PROT_WRITE, 0x3000},
        {HOST_CPU_CODE, 0x1000, PROT_READ | PROT_EXEC, CODE_INDEX},
    };
    for (size_t part = 0; part < sizeof parts / sizeof parts[0]; part++) {
        // Populated, so that the error code of a write to a read-only page says "present".
        void *mapped = mmap((void *)parts[part].address, parts[part].size, parts[part].protection,
                            MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, file, parts[part].offset);
        check(mapped == (void *)parts[part].address);
        for (size_t page = 0; page < parts[part].size; page += HOST_CPU_PAGE)
            (void)*(volatile uint8_t *)(parts[part].address + page);
    }
}

// Entry `number` of the LDT is selector number * 8 + 7.
static int make_segments(void) {
    const struct user_desc entries[HOST_CPU_DESCRIPTOR_COUNT] = {
        {0, 0, 0xfffff, 1, 2, 0, 1, 0, 1, 0},
        {1, 0, 0xfffff, 1, 0, 0, 1, 0, 1, 0},
        {2, HOST_CPU_BASE, 0xffff, 0, 2, 0, 0, 0, 1, 0},
        {3, HOST_CPU_BASE, 0xffff, 0, 0, 0, 0, 0, 1, 0},
        {4, HOST_CPU_FS_BASE, 0xffff, 1, 0, 0, 0, 0, 1, 0},
        {5, HOST_CPU_GS_BASE, 0x0fff, 1, 0, 0, 0, 0, 1, 0},
        {6, HOST_CPU_BASE, 0x1fff, 1, 0, 1, 0, 0, 1, 0},
        {7, HOST_CPU_BASE, 0x0fff, 0, 1, 0, 0, 0, 1, 0},
        {8, HOST_CPU_BASE, 0xffff, 0, 2, 1, 0, 0, 1, 0},
        {9, HOST_CPU_BASE, 0xffff, 0, 0, 0, 0, 1, 1, 0},
    };
    for (int number = 0; number < HOST_CPU_DESCRIPTOR_COUNT; number++)
        if (syscall(SYS_modify_ldt, 0x11, &entries[number], sizeof entries[number]) != 0) return 0;
    return syscall(SYS_modify_ldt, 0, mailbox->descriptors, sizeof mailbox->descriptors) > 0;
}

static void take_signals(void) {
    stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof handler_stack};
    check(sigaltstack(&stack, NULL) == 0);
    struct sigaction action = {.sa_sigaction = serve_with_clean_flags, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGVTALRM};
    for (size_t index = 0; index < sizeof signals / sizeof signals[0]; index++)
        check(sigaction(signals[index], &action, NULL) == 0);
    sigset_t set;
    sigfillset(&set);
    for (size_t index = 0; index < sizeof signals / sizeof signals[0]; index++) sigdelset(&set, signals[index]);
    check(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
    struct itimerval tick = {{0, TICK_MICROSECONDS}, {0, TICK_MICROSECONDS}};
    check(setitimer(ITIMER_VIRTUAL, &tick, NULL) == 0);
}

void host_cpu_child(HostCPUMailbox *shared, int channel) {
    mailbox = shared;
    // Nothing of the parent's stays open here, so that its pipes end when it ends.
    check(dup2(channel, CHANNEL) == CHANNEL);
    if (syscall(SYS_close_range, CHANNEL + 1, ~0u, 0) != 0)
        for (int file = CHANNEL + 1; file < 1024; file++) close(file);
    errno = 0;
    has_base_instructions = (getauxval(AT_HWCAP2) & 2) != 0;
    map_sandbox();
    mailbox->hasSegments = (uint32_t)make_segments();
    host_cpu_background(0, background);
    memcpy(before, background, HOST_CPU_MEMORY_SIZE);
    memcpy(view, background, HOST_CPU_MEMORY_SIZE);
    take_signals();
    __asm__ volatile("int3");
    _exit(1);
}

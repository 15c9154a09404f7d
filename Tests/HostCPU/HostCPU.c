#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "Mailbox.h"

struct HostCPUSandbox {
    HostCPUMailbox *mailbox;
    pid_t child;
    int channel;
};

static int start_child(HostCPUSandbox *sandbox) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return errno;
    pid_t child = fork();
    if (child < 0) {
        int error = errno;
        close(pair[0]);
        close(pair[1]);
        return error;
    }
    if (child == 0) {
        host_cpu_child(sandbox->mailbox, pair[1]);
    }
    close(pair[1]);
    sandbox->child = child;
    sandbox->channel = pair[0];
    return 0;
}

enum { POLL_MILLISECONDS = 200, PATIENCE_POLLS = 50 };

// Waits for the child's byte. 0: it came; 1: the child is gone, its wait status in *status. A child that makes no
// progress for ten seconds (its own timer ends loops long before) is killed: the kernel keeps it busy for some reason.
static int await_child(HostCPUSandbox *sandbox, int *status) {
    uint32_t seen = sandbox->mailbox->current;
    for (int polls = 0;; polls++) {
        if (seen != sandbox->mailbox->current) {
            seen = sandbox->mailbox->current;
            polls = 0;
        }
        if (polls == PATIENCE_POLLS) kill(sandbox->child, SIGKILL);
        struct pollfd poll_channel = {.fd = sandbox->channel, .events = POLLIN};
        // Another child forked meanwhile may hold the other end open, so an end of file is not waited for alone.
        poll(&poll_channel, 1, POLL_MILLISECONDS);
        if (poll_channel.revents & POLLIN) {
            char byte;
            if (read(sandbox->channel, &byte, 1) == 1) return 0;
        }
        pid_t ended = waitpid(sandbox->child, status, WNOHANG);
        if (ended == sandbox->child || (ended < 0 && errno == ECHILD)) {
            sandbox->child = 0;
            close(sandbox->channel);
            sandbox->channel = -1;
            return 1;
        }
    }
}

HostCPUSandbox *host_cpu_open(int *error) {
    HostCPUSandbox *sandbox = calloc(1, sizeof *sandbox);
    if (!sandbox) {
        *error = ENOMEM;
        return NULL;
    }
    sandbox->channel = -1;
    sandbox->mailbox =
        mmap(NULL, sizeof(HostCPUMailbox), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sandbox->mailbox == MAP_FAILED) {
        *error = errno;
        free(sandbox);
        return NULL;
    }
    *error = start_child(sandbox);
    int status = 0;
    if (*error == 0 && await_child(sandbox, &status) != 0) *error = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
    if (*error != 0) {
        host_cpu_close(sandbox);
        return NULL;
    }
    return sandbox;
}

void host_cpu_close(HostCPUSandbox *sandbox) {
    if (sandbox->child > 0) {
        kill(sandbox->child, SIGKILL);
        waitpid(sandbox->child, NULL, 0);
    }
    if (sandbox->channel >= 0) close(sandbox->channel);
    munmap(sandbox->mailbox, sizeof(HostCPUMailbox));
    free(sandbox);
}

int host_cpu_has_segments(const HostCPUSandbox *sandbox) { return sandbox->mailbox->hasSegments != 0; }

void host_cpu_descriptors(const HostCPUSandbox *sandbox, uint64_t *descriptors) {
    memcpy(descriptors, sandbox->mailbox->descriptors, sizeof sandbox->mailbox->descriptors);
}

HostCPUTrial *host_cpu_trials(HostCPUSandbox *sandbox) { return sandbox->mailbox->trials; }
const HostCPUOutcome *host_cpu_outcomes(const HostCPUSandbox *sandbox) { return sandbox->mailbox->outcomes; }

int host_cpu_run(HostCPUSandbox *sandbox, uint32_t count) {
    HostCPUMailbox *mailbox = sandbox->mailbox;
    if (count == 0 || count > HOST_CPU_BATCH) return EINVAL;
    mailbox->count = count;
    mailbox->current = 0;
    for (;;) {
        int status = 0;
        if (send(sandbox->channel, "r", 1, MSG_NOSIGNAL) == 1 && await_child(sandbox, &status) == 0) return 0;
        if (sandbox->child > 0) {
            kill(sandbox->child, SIGKILL);
            waitpid(sandbox->child, &status, 0);
            close(sandbox->channel);
        }
        if (mailbox->current < count) {
            HostCPUOutcome *outcome = &mailbox->outcomes[mailbox->current];
            memset(outcome, 0, sizeof *outcome);
            outcome->ending = HOST_CPU_DIED;
            outcome->signal = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0;
            mailbox->current += 1;
        }
        int error = start_child(sandbox);
        if (error != 0) return error;
        if (await_child(sandbox, &status) != 0) return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
        if (mailbox->current == count) return 0;
    }
}

int host_cpu_is_intel(void) {
    unsigned highest, ebx, ecx, edx;
    if (!__get_cpuid(0, &highest, &ebx, &ecx, &edx)) return 0;
    return ebx == signature_INTEL_ebx && edx == signature_INTEL_edx && ecx == signature_INTEL_ecx;
}

static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void host_cpu_background(uint64_t seed, uint8_t *image) {
    uint64_t state = seed;
    for (uint32_t at = 0; at < HOST_CPU_MEMORY_SIZE; at += 8) {
        uint64_t value = 0;
        if (seed != 0) {
            // Operands that make results interesting: some zeros, ones, sign bounds and small numbers.
            uint64_t random = next_random(&state);
            switch (next_random(&state) % 10) {
            case 0: value = 0; break;
            case 1: value = ~0ull; break;
            case 2: value = 0x8000000080008000 ^ (random & 0x8080808080808080); break;
            case 3: value = 0x7fffffff7fff7f7f; break;
            case 4: value = random & 0x0f000f000f070f07; break;
            default: value = random; break;
            }
        }
        memcpy(image + at, &value, 8);
    }
}

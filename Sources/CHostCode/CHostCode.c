#define _GNU_SOURCE
#include "CHostCode.h"

#include <sys/mman.h>

// Shared memory without a file: a memfd would count against a limit on the size of files (RLIMIT_FSIZE), which users set for traces.
// mremap(2) with an old size of 0 makes a second mapping of the same pages.
int host_map_code(size_t count, void **writable, void **executable) {
    void *first = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (first == MAP_FAILED) return -1;
    void *second = mremap(first, 0, count, MREMAP_MAYMOVE);
    if (second == MAP_FAILED) {
        munmap(first, count);
        return -1;
    }
    if (mprotect(second, count, PROT_READ | PROT_EXEC) != 0) {
        munmap(second, count);
        munmap(first, count);
        return -1;
    }
    *writable = first;
    *executable = second;
    return 0;
}

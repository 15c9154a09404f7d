#pragma once

// What <sys/mman.h> declares for GNU's sake only, and Swift's Glibc module therefore leaves out (memfd_create(2)).
int memfd_create(const char *name, unsigned int flags);

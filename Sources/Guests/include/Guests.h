#pragma once
#include <stddef.h>
#include <stdint.h>

/// A guest of ours: a flat binary to be loaded at `HS_GUEST_ADDRESS` and entered there as multiboot 1 says (32-bit protected
/// mode, flat segments). The bytes are a multiboot 1 kernel too.
typedef struct hs_guest {
    const char *name;
    const uint8_t *bytes;
    uint64_t length;
} hs_guest;

/// The physical address of every image's first byte and entry.
#define HS_GUEST_ADDRESS 0x100000

/// The offset in a benchmark kernel's bytes of its number of rounds: 32 bits, little-endian. Patch it for a shorter run.
#define HS_GUEST_COUNT_OFFSET 40

/// The embedded guest called `name` (`demo`, `bench-alu`, `bench-memory`, `bench-branches`), or null.
const hs_guest *hs_guest_named(const char *name);

/// A named address in a guest's memory.
typedef struct hs_symbol {
    const char *name;
    uint64_t address;
} hs_symbol;

/// The names of the guest `demo`, up to one without a name.
const hs_symbol *hs_demo_symbols(void);

/// A floppy's first sector, which loads and enters the image that follows it (at most 17 sectors).
const hs_guest *hs_guest_boot_sector(void);

#include "Guests.h"
#include <string.h>

// Each is defined beside its image, by the IMAGE macro.
extern const hs_guest hs_guest_demo, hs_guest_bench_alu, hs_guest_bench_memory, hs_guest_bench_branches, hs_guest_bench_rewrite;
extern const hs_guest hs_boot_sector; // floppy.S
extern const hs_symbol hs_demo_symbol_table[]; // demo.S

static const hs_guest *const guests[] = {
    &hs_guest_demo, &hs_guest_bench_alu, &hs_guest_bench_memory, &hs_guest_bench_branches, &hs_guest_bench_rewrite,
};

const hs_guest *hs_guest_named(const char *name) {
    for (size_t i = 0; i < sizeof guests / sizeof *guests; i++)
        if (strcmp(guests[i]->name, name) == 0) return guests[i];
    return NULL;
}

const hs_symbol *hs_demo_symbols(void) { return hs_demo_symbol_table; }

const hs_guest *hs_guest_boot_sector(void) { return &hs_boot_sector; }

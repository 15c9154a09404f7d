#include "TestGuests.h"
#include <string.h>

// Each is defined beside its image, by the IMAGE macro.
extern const hs_guest hs_guest_paging, hs_guest_faults, hs_guest_selfmod, hs_guest_rep, hs_guest_shadow;
extern const hs_guest hs_guest_echo, hs_guest_faultloop, hs_guest_triple;

static const hs_guest *const guests[] = {
    &hs_guest_paging, &hs_guest_faults, &hs_guest_selfmod, &hs_guest_rep, &hs_guest_shadow,
    &hs_guest_echo, &hs_guest_faultloop, &hs_guest_triple,
};

const hs_guest *hs_test_guest_named(const char *name) {
    for (size_t i = 0; i < sizeof guests / sizeof *guests; i++)
        if (strcmp(guests[i]->name, name) == 0) return guests[i];
    return NULL;
}

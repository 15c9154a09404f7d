#include "TestGuests.h"
#include <string.h>

// Each is defined beside its image, by the IMAGE macro.
#define GUESTS(X) \
    X(modes) X(paging) X(faults) X(selfmod) X(rep) X(shadow) X(irq) X(debug) X(stale) X(tasks) X(v86) X(long) X(apic) \
    X(spaces) X(float) X(sparse) X(host) X(echo) X(faultloop) X(triple)

#define DECLARE(name) extern const hs_guest hs_guest_##name;
GUESTS(DECLARE)

#define ADDRESS(name) &hs_guest_##name,
static const hs_guest *const guests[] = {GUESTS(ADDRESS)};

const hs_guest *hs_test_guest_named(const char *name) {
    for (size_t i = 0; i < sizeof guests / sizeof *guests; i++)
        if (strcmp(guests[i]->name, name) == 0) return guests[i];
    return NULL;
}

#pragma once
#include "Guests.h"

/// The test guest called `name`, or null.
///
/// Those that end by a debug exit whose value is the number of failed checks, without input:
///
///     modes paging faults selfmod rep shadow irq debug stale tasks v86 long apic spaces float sparse
///
/// `modes` goes on to long mode where the processor model has it, and `long` is about nothing else; `apic` needs a model with an
/// APIC, `float` one with SSE 4.2, `sparse` 64 MiB of RAM.
/// And:
///
///     echo        sends back its input until `q`, then a debug exit of 0; the time of each byte enters its memory
///     host        for each byte of its input, until `q`, prints what clocks and random numbers have shown it so far
///     faultloop   never ends, and never retires an instruction after its first few thousand steps
///     triple      ends by a triple fault
const hs_guest *hs_test_guest_named(const char *name);

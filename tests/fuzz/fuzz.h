/* A fuzz target: libFuzzer calls these, or fuzz_driver.c does. The first runs once, before the
 * inputs; the second aborts on a finding. Both return 0. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

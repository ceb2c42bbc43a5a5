/* A fuzz target, and what targets share.
 *
 * libFuzzer calls the two LLVMFuzzer functions, or fuzz_driver.c does, where there is no libFuzzer.
 * The first runs once, before the inputs. Both return 0; a finding aborts.
 *
 * Built with FUZZ_PLANTED_BUG, a target stands in for a version of the code with a bug in it: the
 * negative control, which proves that target and corpus are fit to find such a bug. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every input. */
#define FUZZ_REQUIRE(condition)                                                                    \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,          \
					#condition);                                               \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The bytes in a buffer of their own, of exactly their size, so that AddressSanitizer sees a read
 * past the end. free() it. */
uint8_t *fuzz_bytes(const uint8_t *data, size_t size);

/* The same and a NUL. Further NULs may be within. */
char *fuzz_text(const uint8_t *data, size_t size);

/* The bytes up to the next separator as a text, and moves on behind it. At the end of the input:
 * an empty text. free() it. */
char *fuzz_field(const uint8_t **data, size_t *size, char separator);

/* The next byte, and moves on; 0 at the end of the input. */
uint8_t fuzz_byte(const uint8_t **data, size_t *size);

/* A little-endian number of so many bytes (8 at most), and moves on. */
uint64_t fuzz_number(const uint8_t **data, size_t *size, size_t bytes);

/* A regular file in memory that holds these bytes, position 0; the same one every time, and not to
 * be closed. */
int fuzz_file(const uint8_t *data, size_t size);

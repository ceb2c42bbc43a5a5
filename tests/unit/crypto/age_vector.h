/* One public age test vector (github.com/C2SP/CCTV, age), as tests/vectors/unpack.js leaves it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/age_header.h"

#define AGE_VECTOR_KEYS_MAX 4

struct age_vector {
	char *name;
	char *text; /* the header lines, which the other strings point into */
	const char *expect;
	const char *payload; /* hex SHA-256 of what must have been released, or NULL */
	const char *identities[AGE_VECTOR_KEYS_MAX];
	const char *passphrases[AGE_VECTOR_KEYS_MAX];
	size_t n_identities, n_passphrases;
	bool armored;
	bool hybrid;  /* all its keys are post-quantum ones */
	bool strange; /* a header line that the vectors' README does not define */
	uint8_t *file;
	size_t file_len;
};

/* What became of it: 0 or the negative error, and the plaintext that was let out on the way. */
struct age_vector_outcome {
	int result;
	uint8_t *released;
	size_t released_len;
	uint8_t file_key[AGE_FILE_KEY_BYTES];
};

/* Reads DIRECTORY/NAME.vector and DIRECTORY/NAME.age. -errno, -EINVAL. */
int age_vector_load(const char *directory, const char *name, struct age_vector *ret_vector);
void age_vector_free(struct age_vector *vector);

/* Decrypts it as a stream, from the first byte to the last. */
void age_vector_run(const struct age_vector *vector, struct age_vector_outcome *ret_outcome);
void age_vector_outcome_free(struct age_vector_outcome *outcome);

/* NULL when the outcome is the expected one, to the byte; else what is wrong with it. */
const char *age_vector_mismatch(
		const struct age_vector *vector, const struct age_vector_outcome *outcome);

/* What else must hold of a vector that ended so: a header that parsed is rebuilt byte for byte; a
 * payload that opened is resealed byte for byte; and the random access reader agrees. NULL, or what
 * does not hold. */
const char *age_vector_inverse_mismatch(
		const struct age_vector *vector, const struct age_vector_outcome *outcome);

/* Goal: every public age test vector that is neither armored nor post-quantum ends exactly as it
 * says: the class of failure, and the bytes released before it.
 *
 * The vectors come from the npm package cctv-age (tests/vectors), unpacked where AGE_VECTORS says.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/unit/crypto/age_vector.h"
#include "tests/unit/support/crypto_fixture.h"

/* What cctv-age 0.2.0 holds. A vector that fails to load or changes class is noticed. */
#define VECTORS            143
#define VECTORS_APPLICABLE 93
#define VECTORS_ARMORED    33
#define VECTORS_HYBRID     17

static const char *directory;

struct tally {
	size_t all, armored, hybrid, strange, ran, failed;
};

static void check(const struct age_vector *v, struct tally *tally)
{
	struct age_vector_outcome outcome;

	age_vector_run(v, &outcome);
	const char *mismatch = age_vector_mismatch(v, &outcome);
	if (!mismatch)
		mismatch = age_vector_inverse_mismatch(v, &outcome);
	if (mismatch) {
		print_error("%s: %s: expected %s, got %s after %zu bytes\n", v->name, mismatch,
				v->expect, outcome.result ? error_text(outcome.result) : "success",
				outcome.released_len);
		tally->failed++;
	}
	tally->ran++;
	age_vector_outcome_free(&outcome);
}

static void classify(const struct age_vector *v, struct tally *tally)
{
	tally->all++;
	if (v->armored)
		tally->armored++;
	else if (v->hybrid)
		tally->hybrid++;
	else if (v->strange)
		tally->strange++;
	else
		check(v, tally);
}

static void test_every_vector(void **state)
{
	_cleanup_closedir_ DIR *d = opendir(directory);
	struct tally tally = {0};

	assert_non_null(d);
	for (struct dirent *entry; (entry = readdir(d));) {
		char *dot = strrchr(entry->d_name, '.');
		struct age_vector v;
		if (!dot || strcmp(dot, ".vector") != 0)
			continue;
		*dot = '\0';
		assert_int_equal(age_vector_load(directory, entry->d_name, &v), 0);
		classify(&v, &tally);
		age_vector_free(&v);
	}
	print_message("age vectors: ran %zu of %zu; skipped %zu armored, %zu post-quantum, "
		      "%zu not understood; %zu failed\n",
			tally.ran, tally.all, tally.armored, tally.hybrid, tally.strange,
			tally.failed);
	assert_int_equal(tally.failed, 0);
	assert_int_equal(tally.strange, 0);
	assert_int_equal(tally.all, VECTORS);
	assert_int_equal(tally.ran, VECTORS_APPLICABLE);
	assert_int_equal(tally.armored, VECTORS_ARMORED);
	assert_int_equal(tally.hybrid, VECTORS_HYBRID);
}

/* Negative control: each of these tampered expectations and outcomes must be found out. */
static void test_control(void **state)
{
	struct age_vector v;
	struct age_vector_outcome o;

	assert_int_equal(age_vector_load(directory, "stream_bad_tag_second_chunk_full", &v), 0);
	age_vector_run(&v, &o);
	assert_null(age_vector_mismatch(&v, &o));
	assert_int_equal(o.released_len, 65536);

	static const char *const wrong[] = {"success", "no match", "HMAC failure", "header failure",
			"armor failure", ""};
	const char *right = v.expect;
	for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
		v.expect = wrong[i];
		assert_non_null(age_vector_mismatch(&v, &o));
	}
	v.expect = right;

	const char *payload = v.payload;
	v.payload = NULL;
	assert_non_null(age_vector_mismatch(&v, &o));
	v.payload = payload;

	o.released_len--;
	assert_non_null(age_vector_mismatch(&v, &o));
	o.released_len++;
	o.released[65535] ^= 1;
	assert_non_null(age_vector_mismatch(&v, &o));
	o.released[65535] ^= 1;
	o.result = 0;
	assert_non_null(age_vector_mismatch(&v, &o));
	assert_non_null(age_vector_inverse_mismatch(&v, &o));
	age_vector_outcome_free(&o);
	age_vector_free(&v);
}

/* Negative control: plaintext released by a header that must not let any out. */
static void test_control_release(void **state)
{
	uint8_t byte = 0;
	struct age_vector v;
	struct age_vector_outcome o;

	assert_int_equal(age_vector_load(directory, "hmac_bad", &v), 0);
	age_vector_run(&v, &o);
	assert_null(age_vector_mismatch(&v, &o));
	struct age_vector_outcome leaky = {
			.result = o.result, .released = &byte, .released_len = 1};
	assert_non_null(age_vector_mismatch(&v, &leaky));
	age_vector_outcome_free(&o);
	age_vector_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_every_vector),
			cmocka_unit_test(test_control),
			cmocka_unit_test(test_control_release),
	};
	struct stat st;

	directory = getenv("AGE_VECTORS");
	if (!directory || stat(directory, &st) < 0) {
		print_message("skipped: AGE_VECTORS names no directory (see tests/vectors)\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, crypto_setup, NULL);
}

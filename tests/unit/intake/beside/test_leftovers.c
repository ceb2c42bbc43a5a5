/* The look for plaintext of an account in a spool: whatever its name and kind, whose it is as for
 * sealing, and with bounds. */
#include "tests/unit/support/spool_fixture.h"

#include <sodium.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "daemon/common/config/config_spool.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/intake/beside/leftovers.h"

struct fixture {
	struct spool_fixture folder;
	struct config_spool config;
	struct spool spool;
	struct seen *settled;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct reason reason = {""};

	if (sodium_init() < 0)
		return -1;
	spool_fixture_make(&f->folder);
	f->config = (struct config_spool){
			.name = (char *)(uintptr_t) "calls", .path = f->folder.path};
	f->spool.config = &f->config;
	f->spool.root_fd = f->folder.fd;
	f->settled = seen_new(16);
	assert_int_equal(profile_compile(profile_builtin("asterisk"), &reason, &f->spool.profile),
			0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	profile_free(f->spool.profile);
	seen_free(f->settled);
	spool_fixture_remove(&f->folder);
	free(f);
	return 0;
}

static json_t *look_for(struct fixture *f, const char *account, const char *spool, const char *path)
{
	const struct leftovers_question wanted = {.account = (uint8_t *)(uintptr_t)account,
			.account_len = strlen(account),
			.spool = (char *)(uintptr_t)spool,
			.path = (char *)(uintptr_t)path};
	struct leftovers *leftovers = leftovers_begin(&f->spool, leftovers_question_copy(&wanted),
			f->settled, 1800000000 * US_PER_S);

	assert_non_null(leftovers);
	while (leftovers_step(leftovers, 1, 1800000000 * US_PER_S) > 0)
		;
	json_t *report = leftovers_report(leftovers);
	assert_non_null(report);
	leftovers_free(leftovers);
	return report;
}

static json_int_t count_of(const json_t *report, const char *key)
{
	return json_integer_value(json_object_get(report, key));
}

/* Whether the file is listed, with a reason that has this in it. */
static bool is_listed(const json_t *report, const char *path, const char *why)
{
	const json_t *entries = json_object_get(report, "entries");

	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *entry = json_array_get(entries, i);
		_cleanup_free_ uint8_t *bytes = NULL;
		size_t len;
		assert_int_equal(intake_wire_bytes(entry, "path", 4096, &bytes, &len), 0);
		if (len == strlen(path) && memcmp(bytes, path, len) == 0)
			return strstr(json_string_value(json_object_get(entry, "why")), why);
	}
	return false;
}

static void every_file_of_the_account_is_listed(void **state)
{
	struct fixture *f = *state;

	put_text(&f->folder, "confbridge-acme-1700000000.wav", "x");
	put_text(&f->folder, ".confbridge-acme-1700000001.wav", "x");
	put_text(&f->folder, "confbridge-acme-1700000002.wav.part", "x");
	put_text(&f->folder, "confbridge-acme-1700000003.odd", "x");
	put_directory(&f->folder, ".hidden");
	put_text(&f->folder, ".hidden/confbridge-acme-1700000004.wav", "x");
	put_text(&f->folder, "confbridge-acme-1700000005.wav", "x");
	assert_int_equal(linkat(f->folder.fd, "confbridge-acme-1700000005.wav", f->folder.fd,
					 "second-acme.wav", 0),
			0);
	/* Not: another account, a longer name, an empty file, a symbolic link. */
	put_text(&f->folder, "confbridge-other-1700000000.wav", "x");
	put_text(&f->folder, "confbridge-acmes-1700000000.wav", "x");
	put_text(&f->folder, "confbridge-acme-1700000006.wav", "");
	assert_int_equal(symlinkat("confbridge-acme-1700000000.wav", f->folder.fd,
					 "confbridge-acme-1700000007.wav"),
			0);
	/* Nobody can tell. */
	put_text(&f->folder, "call.wav", "x");
	put_text(&f->folder, "acmes.txt", "x");
	json_t *report = look_for(f, "acme", NULL, NULL);
	assert_int_equal(count_of(report, "files"), 7);
	assert_int_equal(count_of(report, "unknown"), 2);
	assert_true(json_is_true(json_object_get(report, "complete")));
	assert_true(is_listed(report, "confbridge-acme-1700000000.wav", "not sealed yet"));
	assert_true(is_listed(report, ".confbridge-acme-1700000001.wav", "ignored"));
	assert_true(is_listed(report, "confbridge-acme-1700000002.wav.part", "ignored"));
	assert_true(is_listed(report, "confbridge-acme-1700000003.odd", "no pattern"));
	assert_true(is_listed(report, ".hidden/confbridge-acme-1700000004.wav", "ignored"));
	assert_true(is_listed(report, "confbridge-acme-1700000005.wav", "hard link"));
	assert_true(is_listed(report, "second-acme.wav", "hard link"));
	json_decref(report);
}

static void a_sealed_file_that_is_still_there_says_so(void **state)
{
	struct fixture *f = *state;
	struct source_identity identity;
	struct stat st;

	put_text(&f->folder, "confbridge-acme-1700000000.wav", "x");
	assert_int_equal(fstatat(f->folder.fd, "confbridge-acme-1700000000.wav", &st, 0), 0);
	source_identify(&st, &identity);
	seen_add(f->settled, &identity, sizeof(identity));
	json_t *report = look_for(f, "acme", NULL, NULL);
	assert_true(is_listed(report, "confbridge-acme-1700000000.wav", "could not be removed"));
	json_decref(report);
}

static void a_recording_is_looked_for_by_its_path(void **state)
{
	struct fixture *f = *state;

	put_text(&f->folder, "confbridge-acme-1700000000.wav", "x");
	put_text(&f->folder, "confbridge-acme-1700000001.wav", "x");
	json_t *report = look_for(f, "acme", "calls", "confbridge-acme-1700000001.wav");
	assert_int_equal(count_of(report, "files"), 1);
	assert_true(is_listed(report, "confbridge-acme-1700000001.wav", "not sealed yet"));
	json_decref(report);
	report = look_for(f, "acme", "another-spool", "confbridge-acme-1700000001.wav");
	assert_int_equal(count_of(report, "files"), 0);
	assert_true(json_is_true(json_object_get(report, "complete")));
	json_decref(report);
}

static void the_list_is_bounded_and_the_count_is_not(void **state)
{
	struct fixture *f = *state;
	char name[64];

	for (int i = 0; i < 3 * INTAKE_FOUND_MAX; i++) {
		snprintf(name, sizeof(name), "confbridge-acme-17000000%02d.wav", i);
		put_text(&f->folder, name, "x");
	}
	json_t *report = look_for(f, "acme", NULL, NULL);
	assert_int_equal(count_of(report, "files"), 3 * INTAKE_FOUND_MAX);
	assert_int_equal(json_array_size(json_object_get(report, "entries")), INTAKE_FOUND_MAX);
	json_decref(report);
}

static void a_spool_that_is_away_says_so(void **state)
{
	struct fixture *f = *state;

	f->spool.root_fd = -1;
	json_t *report = look_for(f, "acme", NULL, NULL);
	assert_false(json_is_true(json_object_get(report, "complete")));
	assert_non_null(json_string_value(json_object_get(report, "why")));
	json_decref(report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(
					every_file_of_the_account_is_listed, setup, teardown),
			cmocka_unit_test_setup_teardown(
					a_sealed_file_that_is_still_there_says_so, setup, teardown),
			cmocka_unit_test_setup_teardown(
					a_recording_is_looked_for_by_its_path, setup, teardown),
			cmocka_unit_test_setup_teardown(
					the_list_is_bounded_and_the_count_is_not, setup, teardown),
			cmocka_unit_test_setup_teardown(
					a_spool_that_is_away_says_so, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

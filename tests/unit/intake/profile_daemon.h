/* The real recseald with a profile, for tests: its spool's keys, and what came with each recording.
 */
#pragma once

#include "tests/unit/support/intake_daemon.h"

#define MP4  "s1/standup_2026-11-23-10-00-00.mp4"
#define MP4B "s1/standup_2026-11-23-11-00-00.mp4"
#define META "s1/metadata.json"

/* The daemon starts with more keys for its spool, and more sections. */
static inline void with(struct intake_daemon *d, const char *spool_keys, const char *sections)
{
	char text[1024];

	put_directory(&d->folder, "recseal.conf.d");
	snprintf(text, sizeof(text), "[spool inbox]\n%s\n%s\n", spool_keys, sections);
	put_text(&d->folder, "recseal.conf.d/more.conf", text);
	intake_daemon_start(d);
}

static inline const json_t *begin_of(struct intake_daemon *d, const char *path)
{
	return fake_keeper_find(&d->keeper, path)->begin;
}

static inline void assert_account(struct intake_daemon *d, const char *path, const char *expected)
{
	const json_t *begin = begin_of(d, path);
	uint8_t *account;
	size_t len;

	if (!expected) {
		assert_true(json_is_null(json_object_get(begin, "account")));
		return;
	}
	assert_int_equal(intake_wire_bytes(begin, "account", 4096, &account, &len), 0);
	assert_string_equal((char *)account, expected);
	free(account);
}

static inline size_t sidecars(struct intake_daemon *d, const char *path)
{
	return json_array_size(json_object_get(begin_of(d, path), "sidecars"));
}

static inline void assert_sidecar(
		struct intake_daemon *d, const char *path, const char *sidecar, const char *text)
{
	const json_t *list = json_object_get(begin_of(d, path), "sidecars");
	uint8_t *bytes;
	size_t len;

	assert_int_equal(json_array_size(list), 1);
	assert_int_equal(intake_wire_bytes(json_array_get(list, 0), "path", 4096, &bytes, &len), 0);
	assert_string_equal((char *)bytes, sidecar);
	free(bytes);
	assert_int_equal(intake_wire_bytes(json_array_get(list, 0), "bytes", 16384, &bytes, &len),
			0);
	assert_string_equal((char *)bytes, text);
	free(bytes);
}

static inline bool is_gone(struct fake_keeper *keeper, const void *argument)
{
	const struct {
		const struct intake_daemon *d;
		const char *path;
	} *what = argument;

	return !is_there(&what->d->spool, what->path);
}

static inline void await_gone(struct intake_daemon *d, const char *path)
{
	const struct {
		const struct intake_daemon *d;
		const char *path;
	} what = {d, path};

	intake_daemon_await(d, is_gone, &what);
}

static inline bool committing(struct fake_keeper *keeper, const void *path)
{
	const struct fake_recording *r = fake_keeper_find(keeper, path);

	return r && r->state == FAKE_COMMITTING;
}

static inline json_int_t reported(const struct fake_keeper *keeper, const char *key)
{
	return json_integer_value(json_object_get(
			json_array_get(json_object_get(keeper->report, "spools"), 0), key));
}

/* A Jibri recording with all that belongs to it: when it is gone, what came before was seen. */
static inline void jibri_barrier(struct intake_daemon *d)
{
	put_directory(&d->spool, "s0");
	put_text(&d->spool, "s0/metadata.json", "{}");
	put_text(&d->spool, "s0/barrier_1.mp4", "x");
	intake_daemon_await_sealed(d, "s0/barrier_1.mp4");
}

#define DAEMON_TEST(f)                                                                             \
	cmocka_unit_test_setup_teardown(f, intake_daemon_setup_only, intake_daemon_teardown)

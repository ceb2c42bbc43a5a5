/* The comparison of objects and catalog after a start: in strides, while recordings are sealed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/keeper/open/vault_sweep.h"
#include "tests/unit/support/vault_fixture.h"

#define MANY 3000 /* more than there are in a few strides */

/* Objects that are in no catalog, of the time of the fixture. */
static void add_strays(struct vault_fixture *f, int count)
{
	struct object_draft *draft;
	uint8_t ulid[ULID_BYTES];

	for (int i = 0; i < count; i++) {
		ulid_new(f->now_us, ulid);
		assert_int_equal(object_store_create(f->vault->store, ulid, &draft), 0);
		assert_int_equal(object_store_publish(draft), 0);
		object_store_draft_free(draft);
	}
}

static int count_files(struct vault_fixture *f, const char *suffix)
{
	char command[256], line[32] = "";

	snprintf(command, sizeof(command), "find %s/objects -name '*.%s' | wc -l", f->dir, suffix);
	FILE *out = popen(command, "re");
	assert_non_null(out);
	assert_non_null(fgets(line, sizeof(line), out));
	pclose(out);
	return atoi(line);
}

static void test_only_strays_are_set_aside(void **state)
{
	struct vault_fixture *f = *state;

	vault_fixture_seal(f, "alice", "alice/a.wav", 1, 20, NULL);
	add_strays(f, MANY);
	assert_int_equal(vault_fixture_reopen(f, 0, NULL), 0);
	assert_int_equal(count_files(f, "age"), 20 + MANY); /* a start does not wait for it */
	vault_fixture_sweep(f);
	assert_int_equal(count_files(f, "age"), 20);
	assert_int_equal(count_files(f, "uncatalogued"), MANY);
	vault_fixture_sweep(f);
	assert_int_equal(count_files(f, "uncatalogued"), MANY);
}

/* Recordings are begun, committed, begun and given up, and erased, between any two strides. */
static void test_sealing_goes_on_meanwhile(void **state)
{
	struct vault_fixture *f = *state;
	struct vault_sweep *sweep;
	struct ingest_request request = vault_fixture_request(f, "bob", "bob/b.wav", 1);
	int turns = 0, result;
	uv_loop_t loop;

	add_strays(f, MANY);
	struct ingest_job *long_one = vault_fixture_begin(f, &request);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(vault_sweep_start(&loop, f->vault, &sweep), 0);
	while (uv_run(&loop, UV_RUN_ONCE)) {
		vault_fixture_id id;
		vault_fixture_seal(f, "alice", "alice/a.wav", 1, 1, &id);
		assert_int_equal(vault_fixture_erase(f, ERASE_RECORDING, id), 0);
		vault_fixture_seal(f, "alice", "alice/a.wav", 1, 1, NULL);
		turns++;
	}
	assert_true(turns > 1);
	assert_null(vault_sweep_stop(sweep));
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	vault_fixture_commit(f->vault, &long_one, 1, &result);
	assert_int_equal(result, 0);
	assert_int_equal(count_files(f, "uncatalogued"), MANY);
	assert_int_equal(count_files(f, "age"), 2 * turns + 1);
}

static void test_stop_half_way(void **state)
{
	struct vault_fixture *f = *state;
	struct vault_sweep *sweep;
	uv_loop_t loop;

	add_strays(f, MANY);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(vault_sweep_start(&loop, f->vault, &sweep), 0);
	assert_null(vault_sweep_stop(sweep));
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	int aside = count_files(f, "uncatalogued");
	assert_in_range(aside, 1, MANY - 1);
	vault_fixture_sweep(f); /* the next start begins it again */
	assert_int_equal(count_files(f, "uncatalogued"), MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			IN_VAULT(test_only_strays_are_set_aside),
			IN_VAULT(test_sealing_goes_on_meanwhile),
			IN_VAULT(test_stop_half_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

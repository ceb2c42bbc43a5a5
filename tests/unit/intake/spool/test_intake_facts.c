/* The facts about a spool, against what was made of it. */
#include "daemon/common/config/config.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/intake/source/source.h"
#include "daemon/intake/spool/facts.h"
#include "daemon/intake/spool/report.h"
#include "tests/unit/support/spool_fixture.h"

#include <limits.h>
#include <sys/stat.h>

#define SOMEBODY 65534 /* neither root nor the owner of the folder */

static struct spool_fixture folder;
static uv_loop_t loop;
static struct spool spool;
static struct spool_tools tools;

static int setup(void **state)
{
	static char name[] = "main", profile[] = "directory", class[] = "default";
	static struct config_spool config;

	spool_fixture_make(&folder);
	assert_int_equal(chmod(folder.path, 0750), 0);
	config = (struct config_spool){.name = name,
			.path = folder.path,
			.profile = profile,
			.class = class,
			.settle_us = 1500000};
	tools = (struct spool_tools){0};
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(watch_start(&loop, NULL, NULL, &tools.watch), 0);
	assert_int_equal(watch_add(tools.watch, 0, "", folder.fd, 1), 0);
	const struct spool_setup setup = {.config = &config,
			.profile = *profile_builtin(profile),
			.tools = &tools,
			.candidates = 64};
	assert_int_equal(spool_init(&spool, &setup, NULL), 0);
	spool.root_fd = dup(folder.fd);
	assert_true(spool.root_fd >= 0);
	return 0;
}

static int teardown(void **state)
{
	spool_free(&spool);
	watch_stop(tools.watch);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	spool_fixture_remove(&folder);
	return 0;
}

static json_int_t number(const json_t *facts, const char *key)
{
	assert_true(json_is_integer(json_object_get(facts, key)));
	return json_integer_value(json_object_get(facts, key));
}

static const char *text(const json_t *facts, const char *key)
{
	return json_string_value(json_object_get(facts, key));
}

static void test_of_what_is_there(void **state)
{
	json_t *facts = facts_build(&spool);

	assert_true(json_is_true(json_object_get(facts, "there")));
	assert_int_equal(number(facts, "uid"), geteuid());
	assert_int_equal(number(facts, "gid"), getegid());
	assert_int_equal(number(facts, "mode"), 0750);
	assert_non_null(text(facts, "filesystem"));
	assert_string_equal(text(facts, "leases"),
			source_leases_are_sound(folder.fd) ? "honoured" : "unsound");
	assert_null(text(facts, "no_access"));
	assert_true(number(facts, "free_bytes") <= number(facts, "total_bytes"));
	assert_string_equal(text(facts, "profile"), "directory");
	assert_string_equal(text(facts, "class"), "default");
	assert_int_equal(number(facts, "settle_us"), 1500000);
	assert_int_equal(number(facts, "watches"), 1);
	assert_int_equal(number(facts, "unwatched"), 0);
	assert_true(json_is_false(json_object_get(facts, "unleased")));
	json_decref(facts);
}

static void test_of_what_happened(void **state)
{
	spool.unleased_reported = true;
	spool.unwatched = 3;
	json_t *facts = facts_build(&spool);
	assert_true(json_is_true(json_object_get(facts, "unleased")));
	assert_int_equal(number(facts, "unwatched"), 3);
	json_decref(facts);
}

static void test_of_what_is_not_there(void **state)
{
	spool_close(&spool);
	json_t *facts = facts_build(&spool);
	assert_true(json_is_false(json_object_get(facts, "there")));
	assert_null(json_object_get(facts, "mode"));
	assert_string_equal(text(facts, "profile"), "directory");
	json_decref(facts);
}

/* As an intake that is in no group of the bridge, and has no capability. */
static void test_as_somebody_else(void **state)
{
	if (geteuid() != 0 || seteuid(SOMEBODY) < 0)
		skip();
	json_t *facts = facts_build(&spool);
	assert_int_equal(seteuid(0), 0);
	assert_string_equal(text(facts, "no_access"), "Permission denied");
	if (source_leases_are_sound(folder.fd))
		assert_string_equal(text(facts, "leases"), "not allowed");
	json_decref(facts);
}

/* As many spools as there may be, with paths as long as can be: one message all the same. */
static void test_all_are_told_of_at_once(void **state)
{
	static char path[PATH_MAX], name[] = "main", profile[] = "directory", class[] = "default";
	static struct spool spools[CONFIG_SPOOLS_MAX];
	struct config_spool config = {
			.name = name, .path = path, .profile = profile, .class = class};

	path[0] = '/';
	for (size_t i = 1; i < sizeof(path) - 2; i += 2)
		memcpy(path + i, i < PATH_MAX / 2 ? "\x01\\" : "\xc3\xa9", 2);
	for (size_t i = 0; i < CONFIG_SPOOLS_MAX; i++) {
		spools[i] = (struct spool){.config = &config,
				.tools = &tools,
				.root_fd = -1,
				.queue = spool.queue};
		memset(spools[i].last_error, 'x', sizeof(spools[i].last_error) - 1);
	}
	json_t *report = report_build(spools, CONFIG_SPOOLS_MAX);
	assert_non_null(report);
	size_t bytes = json_dumpb(report, NULL, 0, JSON_COMPACT);
	assert_in_range(bytes, 1, INTAKE_MESSAGE_MAX);
	json_decref(report);
	/* One that is not too long is reported as it is. */
	report = report_build(&spool, 1);
	assert_string_equal(text(json_array_get(json_object_get(report, "spools"), 0), "path"),
			folder.path);
	json_decref(report);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
			TEST(test_of_what_is_there),
			TEST(test_of_what_happened),
			TEST(test_of_what_is_not_there),
			TEST(test_as_somebody_else),
			TEST(test_all_are_told_of_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

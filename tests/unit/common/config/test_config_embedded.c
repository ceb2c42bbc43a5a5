/* daemon/common/config: the embedded default, spools from the command line, the shipped example. */

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "daemon/common/config/config.h"
#include "daemon/common/config/config_load.h"
#include "tests/unit/support/folder_fixture.h"

static struct config *embedded(const char *state_dir, const char *path, int expected)
{
	struct config *config = NULL;

	assert_int_equal(config_load_embedded(state_dir, path, NULL, &config), expected);
	return config;
}

static void test_embedded(void **state)
{
	struct folder *f = *state;
	struct config *c = embedded("/v//state/", NULL, 0);

	assert_true(c->embedded);
	assert_string_equal(c->keeper_dir, "/v/state/keeper");
	assert_string_equal(c->objects_dir, "/v/state/objects");
	assert_string_equal(c->socket_dir, "/v/state/run");
	assert_null(c->intake_user);
	assert_non_null(config_find_class(c, "default"));
	assert_int_equal(c->n_spools, 0);
	config_free(c);

	write_file(f, "c.conf",
			"[keeper]\nState=/s\nObjects=/o\nSockets=/k\n[class x]\nKeep=1d\n"
			"[spool s]\nPath=/spool\n");
	char path[128];
	snprintf(path, sizeof(path), "%s/c.conf", f->path);
	c = embedded("/v", path, 0);
	assert_string_equal(c->keeper_dir, "/v/keeper");
	assert_string_equal(c->objects_dir, "/v/objects");
	assert_string_equal(c->socket_dir, "/v/run");
	assert_non_null(config_find_class(c, "x"));
	assert_int_equal(c->n_spools, 1);
	config_free(c);
	assert_null(embedded("", NULL, -EINVAL));
	assert_null(config_free(NULL));
}

static void test_embedded_relative(void **state)
{
	struct folder *f = *state;
	char cwd[PATH_MAX], expected[PATH_MAX + 16];

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(fchdir(f->fd), 0);
	assert_int_equal(mkdir("sub", 0700), 0);
	struct config *c = embedded("not/yet", NULL, 0);
	snprintf(expected, sizeof(expected), "%s/not/yet/keeper", f->path);
	assert_string_equal(c->keeper_dir, expected);
	config_free(c);
	c = embedded("./sub/../other", NULL, 0);
	snprintf(expected, sizeof(expected), "%s/other/keeper", f->path);
	assert_string_equal(c->keeper_dir, expected);
	config_free(c);
	assert_int_equal(chdir(cwd), 0);
}

static void test_add_spool(void **state)
{
	static const char *const bad[] = {
			"", "=", "=/x", "Name=/x", "name=", "a b=/x", "x=no/../way"};
	struct config *c = embedded("/v", NULL, 0);
	struct reason said = {""};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		assert_int_equal(config_load_spool(c, bad[i], &said), -RE_CONFIG);
		assert_int_equal(strncmp(said.text, "--spool ", 8), 0);
		reason_clear(&said);
		assert_int_equal(c->n_spools, 0);
	}
	assert_int_equal(config_load_spool(c, "/one/", &said), 0);
	assert_int_equal(config_load_spool(c, "two=/two=2", &said), 0);
	assert_int_equal(c->n_spools, 2);
	assert_string_equal(c->spools[0].name, "default");
	assert_string_equal(c->spools[0].path, "/one");
	assert_string_equal(c->spools[0].profile, "directory");
	assert_string_equal(c->spools[0].class, "default");
	assert_true(c->spools[0].settle_us == US_PER_S);
	assert_string_equal(c->spools[1].name, "two");
	assert_string_equal(c->spools[1].path, "/two=2");
	assert_int_equal(config_check(c, &said), 0);

	/* the same name twice is found by the check */
	assert_int_equal(config_load_spool(c, "two=/three", &said), 0);
	assert_int_equal(config_check(c, NULL), -RE_CONFIG);
	config_free(c);
}

/* The example that is installed with the manual is right, and shows every section. */
static void test_shipped_example(void **state)
{
	const char *srcdir = getenv("srcdir");
	_cleanup_free_ char *path = NULL;
	struct config *config = NULL;

	assert_true(asprintf(&path, "%s/man/recseal.conf.example", srcdir ? srcdir : ".") > 0);
	assert_int_equal(config_load(path, NULL, &config), 0);
	assert_int_equal(config_check(config, NULL), 0);
	assert_true(config->n_spools > 0 && config->n_classes > 1);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_folder(test_embedded),
			in_folder(test_embedded_relative),
			cmocka_unit_test(test_add_spool),
			cmocka_unit_test(test_shipped_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

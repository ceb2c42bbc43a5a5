/* The plan of a spool: each fate, from the code that the intake asks, and nothing touched. */
#include "tests/unit/support/spool_fixture.h"

#include <signal.h>
#include <sodium.h>

#include "base/error.h"
#include "daemon/intake/plan/plan.h"

struct scene {
	struct spool_fixture spool, beside;
	struct config *config;
	struct config_spool *own;
	char said[8192]; /* a line for each file */
	unsigned warnings;
	uint64_t bytes;
};

static void on_file(void *context, const struct plan_file *file)
{
	struct scene *scene = context;
	size_t len = strlen(scene->said);

	scene->bytes += file->bytes;
	snprintf(scene->said + len, sizeof(scene->said) - len, "%s %s %s\n",
			plan_fate_name(file->fate), file->account ? file->account : "-",
			file->path);
}

static void on_warning(void *context, const char *text)
{
	((struct scene *)context)->warnings++;
}

static void replace(char **field, const char *text)
{
	free(*field);
	*field = text ? strdup(text) : NULL;
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	if (sodium_init() < 0)
		return -1;
	signal(SIGIO, SIG_IGN);
	spool_fixture_make(&scene->spool);
	spool_fixture_make(&scene->beside);
	scene->config = config_new();
	assert_int_equal(config_new_spool(scene->config, "pbx", "test"), 0);
	scene->own = &scene->config->spools[0];
	replace(&scene->own->path, scene->spool.path);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	config_free(scene->config);
	spool_fixture_remove(&scene->spool);
	spool_fixture_remove(&scene->beside);
	free(scene);
	return 0;
}

static int make(struct scene *scene, struct reason *reason)
{
	const struct plan_setup setup = {.config = scene->config,
			.spool = scene->own,
			.clock = &clock_system,
			.sink = {.file = on_file, .warn = on_warning, .context = scene}};

	scene->said[0] = '\0';
	return plan_make(&setup, reason);
}

static void expect(struct scene *scene, const char *line)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "%s\n", line);
	if (!strstr(scene->said, whole))
		fail_msg("not \"%s\" in:\n%s", line, scene->said);
}

static void plan(struct scene *scene)
{
	struct reason reason = {""};

	if (make(scene, &reason) < 0)
		fail_msg("%s", reason.text);
}

static void names_and_kinds(void **state)
{
	struct scene *scene = *state;
	struct spool_fixture *f = &scene->spool;

	put_directory(f, "acme");
	put_directory(f, ".trash");
	put_text(f, ".trash/old.wav", "x");
	put_text(f, "acme/call.wav", "audio");
	put_text(f, "acme/call.wav.tmp", "au");
	put_text(f, "top.wav", "x");
	put_text(f, "acme/empty.wav", "");
	put_text(f, "acme/one.wav", "x");
	assert_int_equal(linkat(f->fd, "acme/one.wav", f->fd, "acme/two.wav", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", f->fd, "acme/link.wav"), 0);
	assert_int_equal(mkfifoat(f->fd, "acme/pipe.wav", 0600), 0);
	/* A crash has left it; it is known by its own name. */
	put_text(f, "acme/.recseal-0123456789abcdef-0123456789abcdef-left.wav", "x");
	plan(scene);
	expect(scene, "taken acme acme/call.wav");
	expect(scene, "taken acme acme/.recseal-0123456789abcdef-0123456789abcdef-left.wav");
	expect(scene, "taken - top.wav");
	expect(scene, "ignored - .trash");
	expect(scene, "ignored - acme/call.wav.tmp");
	expect(scene, "waits - acme/empty.wav");
	expect(scene, "refused - acme/one.wav");
	expect(scene, "refused - acme/two.wav");
	expect(scene, "refused - acme/link.wav");
	expect(scene, "refused - acme/pipe.wav");
	assert_null(strstr(scene->said, "old.wav"));
	assert_int_equal(scene->bytes, 5 + 2 + 1 + 1 + 1 + 1);
}

static void a_writer_is_seen(void **state)
{
	struct scene *scene = *state;

	if (!leases_work(&scene->spool))
		skip();
	put_text(&scene->spool, "call.wav", "au");
	int fd = openat(scene->spool.fd, "call.wav", O_WRONLY | O_CLOEXEC);
	plan(scene);
	expect(scene, "waits - call.wav");
	/* The plan keeps nobody waiting. */
	assert_int_equal(write(fd, "di", 2), 2);
	close(fd);
	plan(scene);
	expect(scene, "taken - call.wav");
}

static void marks_and_sidecars(void **state)
{
	struct scene *scene = *state;
	struct spool_fixture *f = &scene->spool;

	replace(&scene->own->profile, "jibri");
	put_directory(f, "s1");
	put_directory(f, "s2");
	put_directory(f, "s3");
	put_text(f, "s1/board_2026-11-23-10-00-00.mp4", "video");
	put_text(f, "s1/metadata.json", "{}");
	put_text(f, "s2/board_2026-11-24-10-00-00.mp4", "video");
	put_text(f, "s3/metadata.json", "{}");
	plan(scene);
	expect(scene, "taken board s1/board_2026-11-23-10-00-00.mp4");
	expect(scene, "taken board s1/metadata.json");
	expect(scene, "waits - s2/board_2026-11-24-10-00-00.mp4");
	expect(scene, "ignored - s3/metadata.json");
}

#define MEETING "0123456789abcdef0123456789abcdef01234567-1764000000001"

static void discarded(void **state)
{
	struct scene *scene = *state;
	struct spool_fixture *m = &scene->beside;

	replace(&scene->own->profile, "bbb");
	replace(&scene->own->markers, m->path);
	put_directory(m, "status");
	put_directory(m, "status/archived");
	put_text(m, "status/archived/" MEETING ".norecord", "");
	put_text(&scene->spool, MEETING "-1764000000100.opus", "opus");
	plan(scene);
	expect(scene, "taken 0123456789abcdef0123456789abcdef01234567 " MEETING
		      "-1764000000100.opus");
	replace(&scene->own->discarded, "leave");
	plan(scene);
	expect(scene, "ignored - " MEETING "-1764000000100.opus");
	replace(&scene->own->discarded, "delete");
	plan(scene);
	expect(scene, "deleted - " MEETING "-1764000000100.opus");
	assert_true(is_there(&scene->spool, MEETING "-1764000000100.opus"));
	assert_int_equal(scene->warnings, 0);
	/* A folder of markers that is away says nothing about any recording. */
	replace(&scene->own->markers, "/nonexistent");
	plan(scene);
	expect(scene, "waits - " MEETING "-1764000000100.opus");
	assert_int_equal(scene->warnings, 1);
}

static void the_map_of_accounts(void **state)
{
	struct scene *scene = *state;
	char map[128];

	put_directory(&scene->spool, "room1");
	put_directory(&scene->spool, "room2");
	put_text(&scene->spool, "room1/a.wav", "x");
	put_text(&scene->spool, "room2/b.wav", "x");
	put_text(&scene->beside, "map", "room1 = Acme Ltd\n");
	snprintf(map, sizeof(map), "%s/map", scene->beside.path);
	replace(&scene->own->account_map, map);
	plan(scene); /* though the map was written a moment ago */
	expect(scene, "taken Acme Ltd room1/a.wav");
	expect(scene, "taken - room2/b.wav");
	assert_int_equal(unlinkat(scene->beside.fd, "map", 0), 0);
	plan(scene);
	expect(scene, "waits - room1/a.wav");
}

static void what_cannot_be_planned(void **state)
{
	struct scene *scene = *state;
	struct reason reason = {""};

	replace(&scene->own->profile, "nonesuch");
	assert_int_equal(make(scene, &reason), -RE_CONFIG);
	assert_non_null(strstr(reason.text, "nonesuch"));
	replace(&scene->own->profile, "directory");
	replace(&scene->own->path, "/nonexistent/spool");
	assert_true(make(scene, &reason) < 0);
	assert_non_null(strstr(reason.text, "/nonexistent/spool"));
}

#define PLANNED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			PLANNED(names_and_kinds),
			PLANNED(a_writer_is_seen),
			PLANNED(marks_and_sidecars),
			PLANNED(discarded),
			PLANNED(the_map_of_accounts),
			PLANNED(what_cannot_be_planned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

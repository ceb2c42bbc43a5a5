/* One spool without the daemon: its root that is pointed elsewhere, what is reported once, and what
 * is watched. */
#include <inttypes.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "daemon/common/config/config.h"
#include "daemon/intake/spool/spool.h"
#include "tests/unit/support/spool_fixture.h"

static struct spool_fixture folder;
static uv_loop_t loop;
static struct spool spool;
static struct spool_tools tools;
static struct config_spool config;
static char link_path[128];

static unsigned n_notices;
static char last_notice[4096];

static void on_notice(void *context, const struct notice *notice)
{
	n_notices++;
	snprintf(last_notice, sizeof(last_notice), "%s", notice->text);
}

static void make_spool(const char *path)
{
	static char name[] = "main", profile[] = "directory", class[] = "default";

	config = (struct config_spool){.name = name,
			.path = strdup(path),
			.profile = profile,
			.class = class,
			.stale_after_us = US_PER_S};
	const struct spool_setup setup = {.config = &config,
			.profile = *profile_builtin(profile),
			.tools = &tools,
			.candidates = 1024};
	assert_int_equal(spool_init(&spool, &setup, NULL), 0);
}

/* two/ and one/ in the folder, and a link `here` to one/. */
static int setup(void **state)
{
	spool_fixture_make(&folder);
	put_directory(&folder, "one");
	put_directory(&folder, "two");
	assert_int_equal(symlinkat("one", folder.fd, "here"), 0);
	snprintf(link_path, sizeof(link_path), "%s/here", folder.path);
	tools = (struct spool_tools){.clock = &clock_system,
			.reported = seen_new(64),
			.notices = {.post = on_notice}};
	n_notices = 0;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(watch_start(&loop, NULL, NULL, &tools.watch), 0);
	return 0;
}

static int teardown(void **state)
{
	spool_free(&spool);
	watch_stop(tools.watch);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	seen_free(tools.reported);
	free(config.path);
	spool_fixture_remove(&folder);
	return 0;
}

/* The keeper says of every folder at once that it may be taken from. */
static void check_spool(void)
{
	spool_check(&spool);
	if (spool.root_fd >= 0)
		spool_first_answer(&spool, spool.first.folder, true);
}

static void scan_all(void)
{
	while (spool_scanning(&spool))
		spool_scan_step(&spool);
}

static size_t waiting(void)
{
	int64_t oldest_us;
	size_t n;

	scan_all();
	queue_count(spool.queue, 0, &n, &oldest_us);
	return n;
}

static void point_link_at(const char *target)
{
	assert_int_equal(unlinkat(folder.fd, "here", 0), 0);
	assert_int_equal(symlinkat(target, folder.fd, "here"), 0);
}

/* ---- The root ---- */

static void a_link_that_is_pointed_elsewhere_is_followed(void **state)
{
	make_spool(link_path);
	check_spool();
	assert_int_equal(waiting(), 0);
	put_text(&folder, "two/call.wav", "audio");
	check_spool();
	assert_int_equal(waiting(), 0); /* the control: it is not there yet */
	assert_int_equal(n_notices, 0);
	point_link_at("two");
	check_spool();
	assert_int_equal(n_notices, 1);
	assert_non_null(strstr(last_notice, "/two"));
	assert_int_equal(waiting(), 1);
	check_spool();
	assert_int_equal(n_notices, 1);
	/* By way of another link, and back again. */
	assert_int_equal(symlinkat("here", folder.fd, "more"), 0);
	assert_int_equal(renameat(folder.fd, "one", folder.fd, "three"), 0);
	point_link_at("three");
	check_spool();
	assert_int_equal(n_notices, 2);
	assert_non_null(strstr(last_notice, "/three"));
}

static void the_link_of_a_stranger_is_not_followed(void **state)
{
	if (geteuid() != 0)
		skip();
	make_spool(link_path);
	check_spool();
	point_link_at("two");
	assert_int_equal(fchownat(folder.fd, "here", 65534, 65534, AT_SYMLINK_NOFOLLOW), 0);
	put_text(&folder, "two/call.wav", "audio");
	check_spool();
	assert_true(spool.root_fd < 0);
	assert_int_equal(n_notices, 1);
	assert_int_equal(fchownat(folder.fd, "here", 0, 0, AT_SYMLINK_NOFOLLOW), 0);
	check_spool();
	assert_int_equal(waiting(), 1);
}

static void a_link_in_the_place_of_a_folder_is_not_followed(void **state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/one", folder.path);
	make_spool(path);
	check_spool();
	assert_int_equal(unlinkat(folder.fd, "one", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("two", folder.fd, "one"), 0);
	check_spool();
	assert_true(spool.root_fd < 0);
	assert_non_null(strstr(spool.last_error, "restart recseald"));
	/* Another folder is: it needs no link to be put there. */
	assert_int_equal(unlinkat(folder.fd, "one", 0), 0);
	assert_int_equal(renameat(folder.fd, "two", folder.fd, "one"), 0);
	put_text(&folder, "one/call.wav", "audio");
	check_spool();
	assert_int_equal(waiting(), 1);
}

static void what_is_mounted_over_it_is_taken(void **state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/one", folder.path);
	make_spool(path);
	check_spool();
	if (mount("tmpfs", path, "tmpfs", 0, "size=64k") < 0)
		skip();
	put_text(&folder, "one/call.wav", "audio");
	check_spool();
	assert_int_equal(n_notices, 1);
	assert_int_equal(waiting(), 1);
	spool_close(&spool);
	assert_int_equal(umount(path), 0);
	check_spool();
	assert_true(spool.root_fd >= 0);
}

/* ---- Reported once ---- */

static void find_file(const char *path, struct source *source)
{
	assert_int_equal(source_find(folder.fd, path, source), 0);
}

static void a_stale_file_is_reported_once(void **state)
{
	_cleanup_(source_close) struct source source = SOURCE_NONE;

	make_spool(link_path);
	check_spool();
	put_text(&folder, "one/call.wav", "audio");
	find_file("one/call.wav", &source);
	source.identity.mtime_ns = source.identity.ctime_ns = 1;
	/* It is met in some rounds of the scans, and not in others; it is written to between. */
	for (int round = 0; round < 6; round++) {
		source.identity.mtime_ns += round;
		spool_in_progress(&spool, &source, false);
		assert_int_equal(spool.stale.n, 1);
		for (int i = 0; i < 3; i++) {
			spool.scan_wanted = true;
			scan_all();
		}
		assert_int_equal(spool.stale.n, 0);
	}
	/* Without births, only what changed is old. */
	assert_in_range(n_notices, 1, 1);
	spool_keeps_changing(&spool, &source);
	spool_keeps_changing(&spool, &source);
	assert_int_equal(n_notices, 2);
}

/* ---- Watches ---- */

static void make_old(const char *path, int64_t age_s)
{
	const struct timespec then = {.tv_sec = clock_now_us(&clock_system) / US_PER_S - age_s};
	const struct timespec times[2] = {then, then};

	assert_int_equal(utimensat(folder.fd, path, times, 0), 0);
}

static void folders_that_are_empty_for_long_are_not_watched(void **state)
{
	enum { MANY = 300 };
	char path[64];

	make_spool(link_path);
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "one/%d", i);
		put_directory(&folder, path);
		if (i > 0)
			make_old(path, 3600);
	}
	/* One is old, and has a file. */
	put_text(&folder, "one/7/call.wav", "audio");
	make_old("one/7", 3600);
	check_spool();
	assert_int_equal(waiting(), 1);
	assert_int_equal(watch_count(tools.watch), 3); /* the spool, the new one, the full one */
	assert_int_equal(spool.unwatched, 0);
	/* What is put into one of the others is found by the next scan, and then watched. */
	put_text(&folder, "one/8/call.wav", "audio");
	spool.scan_wanted = true;
	assert_int_equal(waiting(), 2);
	assert_int_equal(watch_count(tools.watch), 4);
	/* And one that has become old and empty is let go. */
	make_old("one/0", 3600);
	spool.scan_wanted = true;
	scan_all();
	assert_int_equal(watch_count(tools.watch), 3);
}

static void watches_are_bounded(void **state)
{
	char path[64];

	make_spool(link_path);
	for (int i = 0; i < WATCHES_MAX + 50; i++) {
		snprintf(path, sizeof(path), "one/%d", i);
		put_directory(&folder, path);
	}
	check_spool();
	scan_all();
	if (watch_count(tools.watch) < WATCHES_MAX)
		skip(); /* this machine allows fewer */
	assert_int_equal(watch_count(tools.watch), WATCHES_MAX);
	assert_int_equal(spool.unwatched, 51);
	assert_int_equal(n_notices, 1);
	assert_non_null(strstr(last_notice, "too many are watched"));
}

#define in_spool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_spool(a_link_that_is_pointed_elsewhere_is_followed),
			in_spool(the_link_of_a_stranger_is_not_followed),
			in_spool(a_link_in_the_place_of_a_folder_is_not_followed),
			in_spool(what_is_mounted_over_it_is_taken),
			in_spool(a_stale_file_is_reported_once),
			in_spool(folders_that_are_empty_for_long_are_not_watched),
			in_spool(watches_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

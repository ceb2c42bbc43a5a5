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

/* The spool's clock is ahead by so much: what was put there just now is old for it. */
static int64_t ahead_us;

static int64_t ahead_now_us(void *context)
{
	return clock_now_us(&clock_system) + ahead_us;
}

static const struct clock ahead = {.now_us = ahead_now_us};

static unsigned n_notices;
static char last_notice[4096];

static void on_notice(void *context, const struct notice *notice)
{
	n_notices++;
	snprintf(last_notice, sizeof(last_notice), "%s", notice->text);
}

static void make_spool_of(char *profile, const char *path)
{
	static char name[] = "main", class[] = "default";

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

static void make_spool(const char *path)
{
	static char profile[] = "directory";

	make_spool_of(profile, path);
}

/* two/ and one/ in the folder, and a link `here` to one/. */
static int setup(void **state)
{
	spool_fixture_make(&folder);
	put_directory(&folder, "one");
	put_directory(&folder, "two");
	assert_int_equal(symlinkat("one", folder.fd, "here"), 0);
	snprintf(link_path, sizeof(link_path), "%s/here", folder.path);
	tools = (struct spool_tools){
			.clock = &ahead, .reported = seen_new(64), .notices = {.post = on_notice}};
	n_notices = 0;
	ahead_us = 0;
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

static void scan_again(void)
{
	spool.scan_wanted = true;
	scan_all();
}

/* By their names, the profile's Ignore= and the spool's; but no empty files, links, markers or
 * folders without anything in them. */
static void ignored_files_are_told_once_they_are_old(void **state)
{
	static char profile[] = "rtpengine";
	static const char *const left[] = {"one/call.wav.tmp", "one/call.wav.part", "one/.nfs0001",
			"one/.hidden", "one/.partial/call.wav", "one/deep/.x.swp", "one/c.meta"};

	make_spool_of(profile, link_path);
	config.stale_after_us = 3600 * US_PER_S;
	put_directory(&folder, "one/.partial");
	put_directory(&folder, "one/.none");
	put_directory(&folder, "one/deep");
	for (size_t i = 0; i < ELEMENTSOF(left); i++)
		put_text(&folder, left[i], "audio");
	put_text(&folder, "one/.gitkeep", "");
	assert_int_equal(symlinkat("x", folder.fd, "one/.link"), 0);
	check_spool();
	assert_int_equal(waiting(), 0);
	assert_int_equal(spool.ignored.n, 0);
	assert_int_equal(n_notices, 0);
	ahead_us = 2 * 3600 * US_PER_S;
	scan_again();
	assert_int_equal(spool.ignored.n, ELEMENTSOF(left));
	assert_int_equal(spool.stale.n, 0);
	assert_int_equal(spool.refusals.count, 0);
	assert_int_equal(n_notices, ELEMENTSOF(left));
	assert_non_null(strstr(last_notice, "ignored because of its name"));
	assert_null(strstr(last_notice, "one/")); /* names may be personal data */
	scan_again();
	assert_int_equal(n_notices, ELEMENTSOF(left));
	assert_int_equal(unlinkat(folder.fd, left[0], 0), 0);
	scan_again();
	assert_int_equal(spool.ignored.n, ELEMENTSOF(left) - 1);
}

static void many_ignored_files_are_no_flood(void **state)
{
	char path[64];

	make_spool(link_path);
	for (int i = 0; i < 2 * REFUSALS_PER_HOUR; i++) {
		snprintf(path, sizeof(path), "one/%d.tmp", i);
		put_text(&folder, path, "audio");
	}
	ahead_us = 3600 * US_PER_S;
	check_spool();
	scan_all();
	assert_int_equal(n_notices, REFUSALS_PER_HOUR);
	assert_int_equal(spool.ignored.n, STALE_MAX); /* a lower bound */
}

static void prompts_are_counted_and_told_once(void **state)
{
	static char profile[] = "freeswitch";

	make_spool_of(profile, link_path);
	put_directory(&folder, "one/a.org");
	put_directory(&folder, "one/a.org/archive");
	put_text(&folder, "one/a.org/greeting.wav", "audio");
	put_text(&folder, "one/a.org/music.mp3", "audio");
	put_text(&folder, "one/a.org/archive/call.wav", "audio");
	check_spool();
	assert_int_equal(waiting(), 1);
	assert_int_equal(spool.prompts, 2);
	assert_int_equal(spool.refusals.count, 0);
	assert_int_equal(n_notices, 1);
	assert_non_null(strstr(last_notice, "2 files beside the recordings"));
	put_text(&folder, "one/a.org/more.wav", "audio");
	scan_again();
	assert_int_equal(spool.prompts, 3);
	assert_int_equal(n_notices, 1);
}

/* ---- Empty folders ---- */

/* Folders of a spool with EmptyFolders=remove, some time later. */
static void scan_after(int64_t us)
{
	ahead_us += us;
	scan_again();
}

static void emptied(const char *path)
{
	_cleanup_close_ int fd = openat(folder.fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	spool_folder_emptied(&spool, fd);
}

static void empty_folders_stay_unless_that_is_wanted(void **state)
{
	make_spool(link_path);
	put_directory(&folder, "one/acme");
	check_spool();
	emptied("one/acme");
	scan_after(24 * 3600 * US_PER_S);
	assert_true(is_there(&folder, "one/acme"));
}

static void an_empty_folder_goes_when_its_time_has_come(void **state)
{
	make_spool(link_path);
	config.remove_empty = true;
	check_spool();
	put_directory(&folder, "one/acme");
	put_directory(&folder, "one/full");
	put_text(&folder, "one/full/.lock", "");
	put_directory(&folder, "one/new");
	scan_all();
	assert_int_equal(watch_count(tools.watch), 4);
	emptied("one/acme");
	/* One that a recording has left goes soon, one that never had any much later. */
	scan_after(SPOOL_EMPTIED_US - US_PER_S);
	assert_true(is_there(&folder, "one/acme"));
	scan_after(2 * US_PER_S);
	assert_false(is_there(&folder, "one/acme"));
	assert_true(is_there(&folder, "one/new"));
	assert_non_null(strstr(last_notice, "1 empty folder was removed"));
	assert_int_equal(n_notices, 1);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(watch_count(tools.watch), 3);
	scan_after(SPOOL_EMPTY_US);
	assert_false(is_there(&folder, "one/new"));
	/* Neither what has a file, of whatever name, nor the spool. */
	assert_true(is_there(&folder, "one/full/.lock"));
	assert_int_equal(unlinkat(folder.fd, "one/full/.lock", 0), 0);
	scan_after(SPOOL_EMPTY_US + US_PER_S);
	scan_after(SPOOL_EMPTY_US + US_PER_S);
	assert_false(is_there(&folder, "one/full"));
	assert_true(is_there(&folder, "one"));
	assert_true(spool.root_fd >= 0);
}

/* From the deepest up, each after a time of its own. */
static void nested_folders_go_one_by_one(void **state)
{
	make_spool(link_path);
	config.remove_empty = true;
	put_directory(&folder, "one/acme");
	put_directory(&folder, "one/acme/2026");
	put_directory(&folder, "one/acme/2026/Nov");
	check_spool();
	scan_all();
	emptied("one/acme/2026/Nov");
	ahead_us = SPOOL_EMPTIED_US + US_PER_S;
	scan_again();
	assert_false(is_there(&folder, "one/acme/2026/Nov"));
	assert_true(is_there(&folder, "one/acme/2026")); /* it had an entry */
	scan_again();
	assert_false(is_there(&folder, "one/acme/2026")); /* its time has come, too */
	scan_again();
	assert_false(is_there(&folder, "one/acme"));
	scan_again();
	assert_true(is_there(&folder, "one"));
}

/* A bridge makes the folder, or puts a file into it, between the scan's look and the removal. */
static void a_folder_that_is_used_again_stays(void **state)
{
	struct stat st, other;

	make_spool(link_path);
	config.remove_empty = true;
	put_directory(&folder, "one/acme");
	put_directory(&folder, "one/b");
	check_spool();
	scan_all();
	emptied("one/acme");
	assert_int_equal(fstatat(folder.fd, "one/acme", &st, 0), 0);
	assert_int_equal(fstatat(folder.fd, "one/b", &other, 0), 0);
	ahead_us = 2 * SPOOL_EMPTIED_US;
	put_text(&folder, "one/acme/call.wav", "audio");
	spool_folder_empty(&spool, spool.root_fd, "acme", &st);
	assert_true(is_there(&folder, "one/acme/call.wav"));
	assert_int_equal(unlinkat(folder.fd, "one/acme/call.wav", 0), 0);
	/* another folder by that name; and none */
	spool_folder_empty(&spool, spool.root_fd, "acme", &other);
	assert_true(is_there(&folder, "one/acme"));
	spool_folder_empty(&spool, spool.root_fd, "gone", &st);
	assert_int_equal(n_notices, 0); /* nothing of this is a fault */
	/* touched by the bridge: its time begins again */
	ahead_us = 0;
	assert_int_equal(utimensat(folder.fd, "one/acme", NULL, 0), 0);
	scan_after(SPOOL_EMPTIED_US / 2);
	assert_true(is_there(&folder, "one/acme"));
	scan_after(SPOOL_EMPTIED_US);
	assert_false(is_there(&folder, "one/acme"));
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
			in_spool(ignored_files_are_told_once_they_are_old),
			in_spool(many_ignored_files_are_no_flood),
			in_spool(prompts_are_counted_and_told_once),
			in_spool(empty_folders_stay_unless_that_is_wanted),
			in_spool(an_empty_folder_goes_when_its_time_has_come),
			in_spool(nested_folders_go_one_by_one),
			in_spool(a_folder_that_is_used_again_stays),
			in_spool(folders_that_are_empty_for_long_are_not_watched),
			in_spool(watches_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
